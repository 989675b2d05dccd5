"""What sources tell of a target: zones by hand, cases made so that the answer is known, the command on files."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from adumbra.cli.main import main
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.experiments.information import (
    QUANTITIES,
    InformationConfig,
    InformationResult,
    analyse,
    laid_into,
    rows_of,
    shared_bins,
    sources_of,
)
from adumbra.experiments.observations import CaseObservations, ObservationOptions, described
from adumbra.experiments.regions import BrainContext, quantile_of, zone
from adumbra.simulation import cohort

GRID = Grid((24, 20, 16), np.array([[2.0, 0, 0, -23], [0, 2, 0, -19], [0, 0, 2, -15], [0, 0, 0, 1.0]]))
"""Its middle plane lies between the voxels 11 and 12 of the first axis."""
BRAIN = np.zeros(GRID.shape, dtype=bool)
BRAIN[2:22, 2:18, 2:14] = True
DWI, ADC = ("dwi",), ("adc",)


def target_mask() -> np.ndarray:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[4:8, 6:10, 5:9] = True
    return mask


def case(number: int, *, told: str = "dwi", entropy: bool = False) -> CaseObservations:
    """A head in which the target is told by the DWI alone, by both alike, or by both together only."""
    generator = np.random.default_rng(number)
    target = target_mask()
    noise, other = generator.integers(0, 2, (2, *GRID.shape)).astype(np.float32)
    first, second = {
        "dwi": (target.astype(np.float32), noise),
        "both": (target.astype(np.float32), target.astype(np.float32)),
        "together": ((noise + target) % 2, noise),
        "nothing": (noise, other),
    }[told]
    doubt = generator.random(GRID.shape, dtype=np.float32) if entropy else None
    return CaseObservations(
        f"sub-{number:02d}", {"dwi": first, "adc": second}, target, BrainContext(BRAIN, GRID, doubt), GRID
    )


def asked(**options: object) -> InformationConfig:
    usual = {"target": "lesion", "sources": (DWI, ADC), "zones": ("brain",), "bins": 2, "resamples": 50}
    return InformationConfig(**(usual | options))  # type: ignore[arg-type]


def value(answer: InformationResult, quantity: str) -> float:
    return float(answer.found.value[QUANTITIES.index(quantity)])


def told(kind: str) -> dict[str, float]:
    (answer,) = analyse([case(n, told=kind) for n in range(4)], asked())
    return {name: value(answer, name) for name in QUANTITIES}


SHARE = 64 / (20 * 16 * 12)
OF_TARGET = float(-SHARE * np.log2(SHARE) - (1 - SHARE) * np.log2(1 - SHARE))
"""Entropy of the target in the brain."""


def test_a_source_that_is_the_target_alone_knows_all_of_it() -> None:
    found = told("dwi")
    assert found["target_1"] == pytest.approx(OF_TARGET, rel=1e-6)
    assert found["broja_unique_1"] == pytest.approx(OF_TARGET, rel=0.02)  # the noise tells a little, by chance
    assert found["target_2"] < 0.002
    assert found["broja_synergy"] < 0.001


def test_two_sources_that_are_alike_are_redundant() -> None:
    found = told("both")
    assert found["broja_redundancy"] == pytest.approx(OF_TARGET, rel=1e-6)
    assert found["i_min_redundancy"] == pytest.approx(OF_TARGET, rel=1e-6)
    assert found["broja_unique_1"] == found["broja_synergy"] == pytest.approx(0.0, abs=1e-9)


def test_what_neither_tells_alone_is_synergy() -> None:
    found = told("together")
    assert found["broja_synergy"] == pytest.approx(OF_TARGET, rel=0.02)
    assert found["target_both"] == pytest.approx(OF_TARGET, rel=1e-6)


def test_the_atoms_add_up() -> None:
    for kind in ("dwi", "both", "together", "nothing"):
        found = told(kind)
        for measure in ("broja", "i_min"):
            parts = [found[f"{measure}_{atom}"] for atom in ("redundancy", "unique_1", "unique_2", "synergy")]
            assert sum(parts) == pytest.approx(found["target_both"], abs=1e-9)
            assert parts[0] + parts[1] == pytest.approx(found["target_1"], abs=1e-9)


def test_in_its_own_outline_the_target_has_nothing_to_tell() -> None:
    (answer,) = analyse([case(n) for n in range(2)], asked(zones=("lesion",)))
    assert answer.prevalence == 1.0
    assert value(answer, "target_both") == 0.0
    assert answer.voxels == 2 * 64


def test_the_outlines_of_others_tell_what_is_chance() -> None:
    """All outlines lie at one place, so those of others tell as much; moved apart, they do not."""
    brain_contexts = [case(n) for n in range(5)]
    (same,) = analyse(brain_contexts, asked(permutations=39))
    assert same.p[QUANTITIES.index("target_1")] == 1.0
    moved = [
        CaseObservations(h.name, {m: np.roll(v, 2 * k, 1) for m, v in h.intensities.items()}, np.roll(h.target_mask, 2 * k, 1),
                 h.head, h.native)
        for k, h in enumerate(brain_contexts)
    ]  # fmt: skip
    (apart,) = analyse(moved, asked(permutations=39))
    assert apart.p[QUANTITIES.index("target_1")] == pytest.approx(1 / 40)


def test_an_outline_is_laid_into_another_head_by_the_boxes_of_the_brains() -> None:
    one, other = case(0), case(1)
    assert np.array_equal(laid_into(one, other), one.target_mask)
    brain = np.zeros_like(BRAIN)
    brain[2:22, 2:18, 2:8] = True  # half as high: so is what is laid into it
    low = CaseObservations("low", one.intensities, one.target_mask, BrainContext(brain, GRID), GRID)
    laid = laid_into(low, other)
    assert laid[4:8, 6:10].any(axis=(0, 1)).sum() in (1, 2)
    assert not laid[8:].any()


def test_zones_by_hand() -> None:
    head = BrainContext(BRAIN, GRID)
    assert np.array_equal(zone("lesion", target_mask(), head), target_mask())
    assert np.array_equal(zone("brain", target_mask(), head), BRAIN)
    mirrored = zone("mirror", target_mask(), head)
    expected = target_mask()
    expected[16:20, 6:10, 5:9] = True
    assert 2 * (mirrored & expected).sum() / (mirrored.sum() + expected.sum()) > 0.85  # the plane is found, not given
    assert mirrored[target_mask()].all()
    border = zone("border", target_mask(), head)
    assert border[3, 7, 6] and border[4, 7, 6] and not border[10, 7, 6]  # noqa: PT018


def test_high_uncertainty_is_the_tenth_of_the_brain_that_is_doubted_most() -> None:
    head = case(0, entropy=True).head
    found = zone("high-uncertainty", target_mask(), head)
    assert found.sum() == pytest.approx(0.1 * BRAIN.sum(), rel=0.01)
    assert head.entropy is not None
    assert head.entropy[found].min() >= head.entropy[BRAIN & ~found].max()
    with pytest.raises(MissingInput, match="prediction"):
        zone("high-uncertainty", target_mask(), BrainContext(BRAIN, GRID))


def test_quantiles_are_of_equal_size_and_lose_no_voxel() -> None:
    assert quantile_of(np.array([0.3, 0.1, 0.2, 0.2]), parts=2).tolist() == [1, 0, 0, 1]
    found = analyse([case(n, entropy=True) for n in range(2)], asked(quantiles=4))
    assert [answer.quantile for answer in found] == [0, 1, 2, 3]
    assert sum(answer.voxels for answer in found) == 2 * BRAIN.sum()


def test_a_voxel_by_the_extremes_around_it_and_by_the_other_side() -> None:
    """One voxel of 5 among zeros, 2 mm: the brightest within 2 mm is a cube of 3; the other half has its negative."""
    image, head = np.zeros(GRID.shape, dtype=np.float32), BrainContext(BRAIN, GRID)
    image[5, 8, 7] = 5.0
    usual = ObservationOptions("lesion", ("dwi",))
    assert described(image, head, usual, dark=False) is image
    brightest = described(image, head, replace(usual, reach_mm=2.5), dark=False)
    assert brightest.sum() == 27 * 5
    assert brightest[4:7, 7:10, 6:9].min() == 5
    assert described(image, head, replace(usual, reach_mm=2.5), dark=True).sum() == 0
    sided = described(image, head, replace(usual, sided=True), dark=False)
    assert sided[5, 8, 7] == 5
    there = np.argwhere(sided == -5)
    assert len(there) == 1
    assert np.abs(there[0] - (18, 8, 7)).max() <= 1  # the plane is found, not given


def test_bins_are_the_same_for_all_and_as_fine_where_the_target_is() -> None:
    edges = shared_bins([case(n) for n in range(3)], asked(sources=(DWI, ADC, ("dwi", "adc")), bins=8))
    assert set(edges) == {DWI, ADC, ("dwi", "adc")}
    assert len(edges[("dwi", "adc")]) == 2


def test_a_head_without_the_target_has_no_voxel_at_its_border() -> None:
    one, other = case(0), case(1)
    healthy = CaseObservations("sub-99", other.intensities, np.zeros_like(other.target_mask), other.head, GRID)
    (answer,) = analyse([one, healthy], asked(zones=("border",)))
    assert answer.patients == 1


def test_sources_are_read_as_they_are_typed() -> None:
    assert sources_of("dwi+adc, b0") == (("dwi", "adc"), ("b0",))
    with pytest.raises(InputRejected, match="sources"):
        sources_of("dwi,t1")


@pytest.mark.parametrize(
    ("options", "named"),
    [({"sources": (DWI,)}, "sources"), ({"sources": (DWI, DWI)}, "sources"), ({"zones": ("nose",)}, "regions"),
     ({"bins": 1}, "bins"), ({"quantiles": 0}, "bins"), ({"zones": ("thrombus",)}, "regions")],
)  # fmt: skip
def test_impossible_questions_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(InputRejected, match=named):
        asked(**options)


def test_rows_are_plain_and_say_what_they_are_of() -> None:
    rows = list(rows_of(analyse([case(n) for n in range(2)], asked())))
    assert len(rows) == len(QUANTITIES)
    assert rows[0] | {"bits": 0, "low": 0, "high": 0, "extrapolated": 0, "p": 0} == {
        "source_1": "dwi", "source_2": "adc", "region": "brain", "quantile": None, "patients": 2,
        "voxels": 2 * int(BRAIN.sum()), "prevalence": SHARE, "gap": rows[0]["gap"], "quantity": "sources",
        "bits": 0, "low": 0, "high": 0, "extrapolated": 0, "p": 0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    cohort.simulate(out, cases=2, seed=5, preset_name="diffusion")
    return out


def test_the_command_writes_page_numbers_and_maps(dataset: Path, tmp_path: Path, capsys) -> None:
    page = tmp_path / "what.html"
    line = [
        "information",
        str(dataset),
        "--out",
        str(page),
        "--sources",
        "dwi,adc",
        "--regions",
        "lesion,border,mirror",
    ]
    assert main([*line, "--no-registration", "--maps", "--resamples", "20", "--no-progress"]) == 0
    assert "Research use only" in capsys.readouterr().out
    text = page.read_text("utf-8")
    assert "<script" not in text
    assert "only dwi" in text
    rows = json.loads((tmp_path / "what.json").read_text())["rows"]
    assert {row["region"] for row in rows} == {"lesion", "border", "mirror"}
    with (tmp_path / "what.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows) == 3 * len(QUANTITIES)
    name = cohort.case_name(5, 0)
    image = nib.load(tmp_path / name / f"{name}_desc-dwiadc_information.nii.gz")
    scan = nib.load(next((dataset / name).rglob("*_trace.nii.gz")))
    assert image.shape == scan.shape[:3]
    np.testing.assert_allclose(image.affine, scan.affine, atol=1e-4)
    assert main([*line, "--no-registration"]) != 0, "an earlier page is not replaced unasked"


def test_a_case_without_the_source_is_named(dataset: Path, tmp_path: Path, capsys) -> None:
    line = ["information", str(dataset), "--out", str(tmp_path / "a.html"), "--sources", "dwi,swi", "--no-registration"]
    assert main([*line, "--no-progress"]) != 0
    assert cohort.case_name(5, 0) in capsys.readouterr().err
