"""A simulated case as a data set: valid BIDS, the same bytes each time, and the same values when it is read."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from adumbra.cases.registry import open_case
from adumbra.core.case import Case, Scan, scan_from_array
from adumbra.core.errors import AmbiguousInput, MissingInput, OutputRefused
from adumbra.core.geometry.grid import Grid
from adumbra.core.ground_truth import GroundTruth
from adumbra.core.phase_encodings import ADC_POWERS, PHASES
from adumbra.core.types import MODALITIES, Modality
from adumbra.report.dataset import write_atlas, write_description, write_phantom

NAME = "sub-phantom01"
PARAMETERS = {
    "seed": 7,
    "sequences": {
        "swi": {"EchoTime": 0.02, "FlipAngle": 15.0, "MagneticFieldStrength": 3.0, "Manufacturer": "other"},
        "phase": {"EchoTime": 0.0221},
        "flair": {"EchoTime": 0.12, "RepetitionTime": 9.0},
        "tof": "none",
    },
}
TURN = 2 * np.pi


def oblique(shape: tuple[int, int, int], spacing_mm: float, degrees: float) -> Grid:
    """A grid with axes towards left, back and up, rotated about the first, as a scanner stores slices."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[-1, 0, 0], [0, -c, s], [0, s, c]]) * spacing_mm
    affine[:3, 3] = [20, 30, -25]
    return Grid(shape, affine)


GRIDS: Mapping[str, Grid] = {
    "dwi": oblique((14, 16, 10), 2.0, 8.0),
    "flair": oblique((18, 20, 6), 1.7, -5.0),
    "swi": oblique((30, 28, 12), 1.1, 12.0),
    "tof": oblique((24, 22, 20), 1.3, 0.0),
    "phantom": Grid((20, 24, 18), np.diag([1.5, 1.5, 1.5, 1.0]) + np.outer([-15, -18, -13, 0], [0, 0, 0, 1.0])),
}
SHARED: Mapping[str, str] = {"adc": "dwi", "b0": "dwi", "phase": "swi"}


def scan_on(space: str, values: np.ndarray, **fields: float) -> Scan:
    return scan_from_array(values, GRIDS[SHARED.get(space, space)].affine, **fields)


def simulated(space: str) -> np.ndarray:
    shape = GRIDS[SHARED.get(space, space)].shape
    generator = np.random.default_rng([len(space), *shape])
    if space == "adc":
        return generator.normal(0.85, 0.1, shape).astype(np.float32)
    if space == "phase":
        i, j, k = np.indices(shape)
        turned = 0.9 * i + 0.23 * j + 0.041 * k + generator.normal(0, 0.3, shape)
        return np.angle(np.exp(1j * turned)).astype(np.float32)
    return np.round(generator.normal(400, 90, shape)).astype(np.float32)


def spot(space: str) -> np.ndarray:
    mask = np.zeros(GRIDS[space].shape, dtype=bool)
    mask[4:7, 5:8, 2:4] = True
    return mask


def phantom_case(*modalities: Modality) -> Case:
    chosen = modalities or MODALITIES
    scans = {m: scan_on(m, simulated(m), **({"b_value": 1000.0} if m == "dwi" else {})) for m in chosen}
    return Case(NAME, scans)


def all_truths() -> list[GroundTruth]:
    labels = np.zeros(GRIDS["phantom"].shape, np.float32)
    labels[3:5], labels[8:10] = 1, 300
    delay = np.linspace(0, 20, labels.size, dtype=np.float32).reshape(labels.shape)
    delay[0, 0, :3] = np.nan, np.inf, 500.0
    maps = [("tmax", "s", delay), ("chi", "ppm", delay / 2 - 9), ("field", "ppm", delay / 8)]
    return [
        *(
            GroundTruth("lesion", s, "mask", scan_on(s, spot(s)), description="As annotated")
            for s in ("phantom", "dwi", "flair")
        ),
        GroundTruth("lesion", "dwi", "probseg", scan_on("dwi", spot("dwi") * np.float32(0.3))),
        *(GroundTruth("thrombus", s, "mask", scan_on(s, spot(s))) for s in ("phantom", "swi", "tof")),
        GroundTruth("hypoperfusion", "dwi", "mask", scan_on("dwi", ~spot("dwi"))),
        GroundTruth(
            "territories", "phantom", "dseg", scan_on("phantom", labels), labels={300: "ACA left", 1: "MCA left"}
        ),
        *(GroundTruth(name, "phantom", "map", scan_on("phantom", values), unit=unit) for name, unit, values in maps),
    ]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_description(tmp_path, seed=1)
    write_phantom(phantom_case(), all_truths(), {"phase": "Hz", "adc": "10⁻⁶"}, PARAMETERS, tmp_path)
    return tmp_path


def read_json(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def test_raw_names(written: Path) -> None:
    images = {str(p.relative_to(written / NAME)) for p in (written / NAME).rglob("*.nii.gz")}
    assert images == {
        f"dwi/{NAME}_acq-b1000_trace.nii.gz",
        f"dwi/{NAME}_ADC.nii.gz",
        f"dwi/{NAME}_S0map.nii.gz",
        f"anat/{NAME}_FLAIR.nii.gz",
        f"anat/{NAME}_part-mag_T2starw.nii.gz",
        f"anat/{NAME}_part-phase_T2starw.nii.gz",
        f"anat/{NAME}_acq-tof_angio.nii.gz",
    }


def test_names_of_truths_say_where_they_lie(written: Path) -> None:
    truth = written / "derivatives" / "truth" / NAME
    images = {str(p.relative_to(truth)).replace(f"{NAME}_", "") for p in truth.rglob("*.nii.gz")}
    assert images == {
        "dwi/label-lesion_mask.nii.gz",
        "dwi/label-lesion_probseg.nii.gz",
        "dwi/label-hypoperfusion_mask.nii.gz",
        "anat/space-phantom_label-lesion_mask.nii.gz",
        "anat/space-FLAIR_label-lesion_mask.nii.gz",
        "anat/label-thrombus_mask.nii.gz",
        "anat/space-TOF_label-thrombus_mask.nii.gz",
        "anat/space-phantom_label-thrombus_mask.nii.gz",
        "anat/space-phantom_desc-territories_dseg.nii.gz",
        "anat/space-phantom_Tmaxmap.nii.gz",
        "anat/space-phantom_Chimap.nii.gz",
        "anat/space-phantom_Fieldmap.nii.gz",
    }
    assert (truth / f"anat/{NAME}_space-phantom_desc-territories_dseg.tsv").read_text() == (
        "index\tname\n1\tMCA left\n300\tACA left\n"
    )


@pytest.mark.parametrize("encoding", [*PHASES, "Hz"])
def test_a_phase_comes_back_from_every_encoding(tmp_path: Path, encoding: str) -> None:
    case = phantom_case("swi", "phase")
    write_phantom(case, [], {"phase": encoding}, PARAMETERS, tmp_path)
    read = open_case(tmp_path / NAME)
    phase = read.scan("phase")
    assert phase.grid.coincides(case.scan("phase").grid)
    assert phase.native.coincides(case.scan("phase").native)
    off = np.angle(np.exp(1j * (phase.data.astype(np.float64) - case.scan("phase").data)))
    assert np.abs(off).max() < 1e-3 * TURN
    (note,) = (n for n in read.provenance if n.stage == "cases.units")
    assert note.values["unit"] == encoding
    assert np.array_equal(read.scan("swi").data, case.scan("swi").data)


@pytest.mark.parametrize("unit", ADC_POWERS)
def test_an_adc_comes_back_from_every_unit(tmp_path: Path, unit: str) -> None:
    case = phantom_case("dwi", "adc")
    write_phantom(case, [], {"adc": unit}, {}, tmp_path)
    read = open_case(tmp_path / NAME).scan("adc")
    assert read.grid.coincides(case.scan("adc").grid)
    assert np.abs(read.data - case.scan("adc").data).max() < (6e-4 if unit == "10⁻⁶" else 1e-6)


def test_the_reader_takes_the_masks_of_the_reference_modality(written: Path) -> None:
    case, read = phantom_case(), open_case(written / NAME)
    assert set(read.scans) == set(MODALITIES)
    assert {name: mask.grid.coincides(case.scan(m).grid) for name, mask, m in
            ((n, read.masks[n], m) for n, m in (("lesion", "dwi"), ("thrombus", "swi"), ("hypoperfusion", "dwi")))
            } == dict.fromkeys(read.masks, True)  # fmt: skip
    for name, space in (("lesion", "dwi"), ("thrombus", "swi")):
        assert np.array_equal(read.masks[name].data, scan_on(space, spot(space)).data)
    for modality in ("dwi", "b0", "flair", "swi", "tof"):
        assert np.array_equal(read.scan(modality).data, case.scan(modality).data)
    assert read.scan("dwi").b_value == 1000


def test_without_a_swi_the_thrombus_mask_lies_on_the_tof(tmp_path: Path) -> None:
    write_phantom(phantom_case("dwi", "tof"), all_truths(), {}, {}, tmp_path)
    thrombus = open_case(tmp_path / NAME).masks["thrombus"]
    assert thrombus.grid.coincides(scan_on("tof", spot("tof")).grid)
    lost = tmp_path / "derivatives/truth" / NAME / "anat" / f"{NAME}_space-SWI_label-thrombus_mask.json"
    assert read_json(lost)["SpatialReference"] == "The swi, which this case lacks"


def test_maps_and_labels_are_stored_in_whole_steps(written: Path) -> None:
    home = written / "derivatives/truth" / NAME / "anat"
    for truth in all_truths():
        if truth.kind not in ("map", "dseg"):
            continue
        stem = {"tmax": "Tmaxmap", "chi": "Chimap", "field": "Fieldmap"}.get(truth.name, f"desc-{truth.name}_dseg")
        image = nib.load(home / f"{NAME}_space-phantom_{stem}.nii.gz")
        assert image.get_data_dtype() == np.int16
        step = {"tmax": 0.01, "chi": 0.001, "field": 0.0005}.get(truth.name, 0.0)
        given, values = truth.scan.data.copy(), image.get_fdata()
        assert values[0, 0, 0] == 0
        if truth.kind == "map":
            assert values[0, 0, 1] == pytest.approx(32767 * step)
            given[0, 0, :3] = values[0, 0, :3]
        assert np.abs(values - given).max() <= 0.51 * step


def test_side_cars(written: Path) -> None:
    raw, truth = written / NAME / "anat", written / "derivatives/truth" / NAME
    phase = read_json(raw / f"{NAME}_part-phase_T2starw.json")
    assert (phase["EchoTime"], phase["FlipAngle"]) == (0.0221, 15.0)
    assert (phase["Units"], phase["StoredAs"], phase["Manufacturer"]) == ("arbitrary", "Hz", "Adumbra")
    assert read_json(raw / f"{NAME}_FLAIR.json")["RepetitionTime"] == 9.0
    assert read_json(raw.with_name("dwi") / f"{NAME}_ADC.json")["Units"] == "10^-6 mm^2/s"
    lesion = read_json(truth / "dwi" / f"{NAME}_label-lesion_mask.json")
    assert lesion["SimulationParameters"]["seed"] == 7
    assert (lesion["Type"], lesion["Description"]) == ("Lesion", "As annotated")
    assert lesion["SpatialReference"] == f"bids:raw:{NAME}/dwi/{NAME}_acq-b1000_trace.nii.gz"
    moved = read_json(truth / "anat" / f"{NAME}_space-TOF_label-thrombus_mask.json")
    assert moved["SimulationParameters"] == lesion["SimulationParameters"]
    assert (moved["Type"], moved["SpatialReference"].endswith("_angio.nii.gz")) == ("ROI", True)
    assert read_json(truth / "anat" / f"{NAME}_space-phantom_Tmaxmap.json")["Units"] == "s"
    dseg = read_json(truth / "anat" / f"{NAME}_space-phantom_desc-territories_dseg.json")
    assert dseg["Labels"] == {"1": "MCA left", "300": "ACA left"}


def test_the_same_values_give_the_same_bytes_and_are_not_replaced_unasked(written: Path, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in written.rglob("*") if p.is_file()}
    with pytest.raises(OutputRefused):
        write_phantom(phantom_case(), all_truths(), {}, {}, written)
    stored: Mapping[Modality, str] = {"phase": "Hz", "adc": "10⁻⁶"}
    paths = write_phantom(phantom_case(), all_truths(), stored, PARAMETERS, written, overwrite=True)
    assert {p: p.read_bytes() for p in written.rglob("*") if p.is_file()} == before
    assert paths[-1].name.endswith("_mask.nii.gz")
    assert "space-" not in paths[-1].name


def test_a_dwi_of_unknown_b_value_is_no_b0(tmp_path: Path) -> None:
    write_phantom(Case(NAME, {"dwi": scan_on("dwi", simulated("dwi"))}), [], {}, {}, tmp_path)
    assert set(open_case(tmp_path / NAME).scans) == {"dwi"}


def test_what_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    case = phantom_case("phase")
    with pytest.raises(AmbiguousInput, match="0…4095"):
        write_phantom(case, [], {"phase": "degrees"}, {}, tmp_path)
    with pytest.raises(MissingInput, match="EchoTime"):
        write_phantom(case, [], {"phase": "Hz"}, {}, tmp_path)
    with pytest.raises(AmbiguousInput, match="10⁻⁶"):
        write_phantom(phantom_case("adc"), [], {"adc": "um2/s"}, {}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", [".", "derivatives/truth"])
def test_both_data_sets_are_valid_bids(written: Path, folder: str) -> None:
    beside = Path(sys.executable).with_name("bids-validator-deno")
    validator = str(beside) if beside.exists() else shutil.which("bids-validator-deno")
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    command = [validator, str(written / folder), "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    assert [issue for issue in report["issues"]["issues"] if issue["severity"] == "error"] == []


def test_the_atlas_is_written_with_its_names(tmp_path: Path) -> None:
    labels = np.zeros((4, 5, 6), np.int16)
    labels[1] = 3
    write_atlas(labels, Grid((4, 5, 6), np.eye(4)), {3: "ACA right"}, tmp_path)
    (image,) = tmp_path.rglob("*desc-territories_dseg.nii.gz")
    assert np.array_equal(np.asarray(nib.load(image).dataobj), labels)
    assert Path(str(image).replace(".nii.gz", ".tsv")).read_text("utf-8") == "index\tname\n3\tACA right\n"
