"""Information about a target: regions by hand, constructed cases with known results, the command on files."""

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
    estimate_information,
    result_rows,
    transfer_mask,
)
from adumbra.experiments.observations import CaseObservations, ObservationOptions, describe_voxels
from adumbra.experiments.regions import BrainContext, quantile_index, region_mask
from adumbra.experiments.symbol_counts import parse_sources, shared_bins
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


def case(number: int, *, kind: str = "dwi", entropy: bool = False) -> CaseObservations:
    """A case in which the DWI alone determines the target, both sources do, only both together, or neither."""
    generator = np.random.default_rng(number)
    target = target_mask()
    noise, other = generator.integers(0, 2, (2, *GRID.shape)).astype(np.float32)
    first, second = {
        "dwi": (target.astype(np.float32), noise),
        "both": (target.astype(np.float32), target.astype(np.float32)),
        "together": ((noise + target) % 2, noise),
        "nothing": (noise, other),
    }[kind]
    uncertainty = generator.random(GRID.shape, dtype=np.float32) if entropy else None
    return CaseObservations(
        f"sub-{number:02d}", {"dwi": first, "adc": second}, target, BrainContext(BRAIN, GRID, uncertainty), GRID
    )


def config(**options: object) -> InformationConfig:
    default = {"target": "lesion", "sources": (DWI, ADC), "regions": ("brain",), "bins": 2, "resamples": 50}
    return InformationConfig(**(default | options))  # type: ignore[arg-type]


def value(result: InformationResult, quantity: str) -> float:
    return float(result.estimate.value[QUANTITIES.index(quantity)])


def estimates(kind: str) -> dict[str, float]:
    (result,) = estimate_information([case(n, kind=kind) for n in range(4)], config())
    return {name: value(result, name) for name in QUANTITIES}


SHARE = 64 / (20 * 16 * 12)
OF_TARGET = float(-SHARE * np.log2(SHARE) - (1 - SHARE) * np.log2(1 - SHARE))
"""Entropy of the target in the brain."""


def test_a_source_equal_to_the_target_has_all_its_information() -> None:
    values = estimates("dwi")
    assert values["target_1"] == pytest.approx(OF_TARGET, rel=1e-6)
    assert values["broja_unique_1"] == pytest.approx(OF_TARGET, rel=0.02)  # noise has a bias
    assert values["target_2"] < 0.002
    assert values["broja_synergy"] < 0.001


def test_two_sources_that_are_alike_are_redundant() -> None:
    values = estimates("both")
    assert values["broja_redundancy"] == pytest.approx(OF_TARGET, rel=1e-6)
    assert values["i_min_redundancy"] == pytest.approx(OF_TARGET, rel=1e-6)
    assert values["broja_unique_1"] == values["broja_synergy"] == pytest.approx(0.0, abs=1e-9)


def test_information_of_both_together_only_is_synergy() -> None:
    values = estimates("together")
    assert values["broja_synergy"] == pytest.approx(OF_TARGET, rel=0.02)
    assert values["target_both"] == pytest.approx(OF_TARGET, rel=1e-6)


def test_the_atoms_add_up() -> None:
    for kind in ("dwi", "both", "together", "nothing"):
        values = estimates(kind)
        for measure in ("broja", "i_min"):
            parts = [values[f"{measure}_{atom}"] for atom in ("redundancy", "unique_1", "unique_2", "synergy")]
            assert sum(parts) == pytest.approx(values["target_both"], abs=1e-9)
            assert parts[0] + parts[1] == pytest.approx(values["target_1"], abs=1e-9)


def test_sources_have_no_information_about_a_constant_target() -> None:
    (result,) = estimate_information([case(n) for n in range(2)], config(regions=("lesion",)))
    assert result.prevalence == 1.0
    assert value(result, "target_both") == 0.0
    assert result.voxels == 2 * 64


def test_masks_of_other_patients_give_the_null_distribution() -> None:
    """All masks coincide, so those of others give the same information; once they are moved apart they do not."""
    observations = [case(n) for n in range(5)]
    (same,) = estimate_information(observations, config(permutations=39))
    assert same.p[QUANTITIES.index("target_1")] == 1.0
    moved = [
        replace(
            h,
            intensities={m: np.roll(v, 2 * k, 1) for m, v in h.intensities.items()},
            target_mask=np.roll(h.target_mask, 2 * k, 1),
        )
        for k, h in enumerate(observations)
    ]
    (apart,) = estimate_information(moved, config(permutations=39))
    assert apart.p[QUANTITIES.index("target_1")] == pytest.approx(1 / 40)


def test_masks_are_transferred_by_the_bounding_boxes_of_the_brains() -> None:
    one, other = case(0), case(1)
    assert np.array_equal(transfer_mask(one, other), one.target_mask)
    brain = np.zeros_like(BRAIN)
    brain[2:22, 2:18, 2:8] = True  # half as high, and so is the transferred mask
    low = CaseObservations("low", one.intensities, one.target_mask, BrainContext(brain, GRID), GRID)
    transferred = transfer_mask(low, other)
    assert transferred[4:8, 6:10].any(axis=(0, 1)).sum() in (1, 2)
    assert not transferred[8:].any()


def test_regions_by_hand() -> None:
    context = BrainContext(BRAIN, GRID)
    assert np.array_equal(region_mask("lesion", target_mask(), context), target_mask())
    assert np.array_equal(region_mask("brain", target_mask(), context), BRAIN)
    mirrored = region_mask("mirror", target_mask(), context)
    expected = target_mask()
    expected[16:20, 6:10, 5:9] = True
    assert 2 * (mirrored & expected).sum() / (mirrored.sum() + expected.sum()) > 0.85  # the midline is estimated
    assert mirrored[target_mask()].all()
    border = region_mask("border", target_mask(), context)
    assert border[3, 7, 6] and border[4, 7, 6] and not border[10, 7, 6]  # noqa: PT018


def test_high_uncertainty_is_the_tenth_of_the_brain_with_the_highest_entropy() -> None:
    context = case(0, entropy=True).context
    region = region_mask("high-uncertainty", target_mask(), context)
    assert region.sum() == pytest.approx(0.1 * BRAIN.sum(), rel=0.01)
    assert context.entropy is not None
    assert context.entropy[region].min() >= context.entropy[BRAIN & ~region].max()
    with pytest.raises(MissingInput, match="prediction"):
        region_mask("high-uncertainty", target_mask(), BrainContext(BRAIN, GRID))


def test_quantiles_are_of_equal_size_and_lose_no_voxel() -> None:
    assert quantile_index(np.array([0.3, 0.1, 0.2, 0.2]), quantiles=2).tolist() == [1, 0, 0, 1]
    results = estimate_information([case(n, entropy=True) for n in range(2)], config(quantiles=4))
    assert [result.quantile for result in results] == [0, 1, 2, 3]
    assert sum(result.voxels for result in results) == 2 * BRAIN.sum()


def test_a_voxel_is_described_by_the_extremes_around_it_and_by_the_other_side() -> None:
    """One voxel of 5 among zeros, 2 mm: the brightest within 2 mm is a cube of 3; the other half has its negative."""
    image, context = np.zeros(GRID.shape, dtype=np.float32), BrainContext(BRAIN, GRID)
    image[5, 8, 7] = 5.0
    default = ObservationOptions("lesion", ("dwi",))
    assert describe_voxels(image, context, default, dark=False) is image
    brightest = describe_voxels(image, context, replace(default, reach_mm=2.5), dark=False)
    assert brightest.sum() == 27 * 5
    assert brightest[4:7, 7:10, 6:9].min() == 5
    assert describe_voxels(image, context, replace(default, reach_mm=2.5), dark=True).sum() == 0
    sided = describe_voxels(image, context, replace(default, sided=True), dark=False)
    assert sided[5, 8, 7] == 5
    mirrored = np.argwhere(sided == -5)
    assert len(mirrored) == 1
    assert np.abs(mirrored[0] - (18, 8, 7)).max() <= 1  # the midline is estimated, not given


def test_bins_are_shared_by_all_cases_and_resolve_the_target() -> None:
    edges = shared_bins([case(n) for n in range(3)], (DWI, ADC, ("dwi", "adc")), bins=8, seed=0)
    assert set(edges) == {DWI, ADC, ("dwi", "adc")}
    assert len(edges[("dwi", "adc")]) == 2


def test_a_case_without_the_target_has_no_border_region() -> None:
    one, other = case(0), case(1)
    healthy = CaseObservations("sub-99", other.intensities, np.zeros_like(other.target_mask), other.context, GRID)
    (result,) = estimate_information([one, healthy], config(regions=("border",)))
    assert result.patients == 1


def test_sources_are_parsed() -> None:
    assert parse_sources("dwi+adc, b0") == (("dwi", "adc"), ("b0",))
    with pytest.raises(InputRejected, match="sources"):
        parse_sources("dwi,t1")


@pytest.mark.parametrize(
    ("options", "named"),
    [({"sources": (DWI,)}, "sources"), ({"sources": (DWI, DWI)}, "sources"), ({"regions": ("nose",)}, "regions"),
     ({"bins": 1}, "bins"), ({"quantiles": 0}, "bins"), ({"regions": ("thrombus",)}, "regions")],
)  # fmt: skip
def test_impossible_configurations_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(InputRejected, match=named):
        config(**options)


def test_rows_are_plain_and_complete() -> None:
    rows = list(result_rows(estimate_information([case(n) for n in range(2)], config())))
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
    assert main([*line, "--no-registration"]) != 0, "an existing page is not replaced without --overwrite"


def test_a_case_without_the_source_is_named(dataset: Path, tmp_path: Path, capsys) -> None:
    line = ["information", str(dataset), "--out", str(tmp_path / "a.html"), "--sources", "dwi,swi", "--no-registration"]
    assert main([*line, "--no-progress"]) != 0
    assert cohort.case_name(5, 0) in capsys.readouterr().err
