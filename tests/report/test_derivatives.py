"""Derivative files hold the computed values on the native grid, with the same bytes each time."""

import gzip
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from adumbra.core.errors import OutputRefused
from adumbra.core.geometry.grid import Grid, reorient, respaced
from adumbra.core.results import Findings, Maps, RunRecord, VolumeDraws
from adumbra.report.derivatives import (
    nifti_bytes,
    on_native,
    sha256_by_name,
    write_findings,
    write_maps,
    write_run,
)

NAMES = [
    "sub-01_ses-2_label-lesion_mask",
    "sub-01_ses-2_label-lesion_probseg",
    "sub-01_ses-2_label-lesion_desc-entropy_uncertainty",
    "sub-01_ses-2_label-lesion_desc-aleatoric_uncertainty",
    "sub-01_ses-2_label-lesion_desc-epistemic_uncertainty",
    "sub-01_ses-2_label-lesion_desc-variance_uncertainty",
    "sub-01_ses-2_label-lesion_desc-margin_uncertainty",
]


def written(maps: Maps, out: Path, native: Grid, **more: object) -> tuple[Path, ...]:
    return write_maps(maps, out, name="sub-01_ses-2", native=native, modality_source="sub-01_dwi.nii.gz", **more)


def test_the_files_and_their_places(maps: Maps, native: Grid, tmp_path: Path) -> None:
    paths = written(maps, tmp_path, native)
    assert [path.name for path in paths] == [f"{n}.nii.gz" for n in NAMES] + [f"{n}.json" for n in NAMES]
    assert {path.parent for path in paths} == {tmp_path / "sub-01/ses-2/dwi"}
    assert {path.name for path in tmp_path.iterdir()} == {
        "sub-01", ".bidsignore", "README.md", "dataset_description.json"
    }  # fmt: skip


def test_values_lie_on_the_native_grid(maps: Maps, native: Grid, tmp_path: Path) -> None:
    paths = written(maps, tmp_path, native)[:7]
    mask, probability, entropy, aleatoric, epistemic, variance, margin = map(nib.load, paths)
    np.testing.assert_array_equal(np.asarray(margin.dataobj), np.abs(2 * np.asarray(probability.dataobj) - 1))
    kinds = {"probability": probability, "entropy": entropy, "aleatoric": aleatoric, "epistemic": epistemic}
    for name, image in {**kinds, "variance": variance, "mask": mask}.items():
        expected = reorient(getattr(maps, name), maps.grid, native.axcodes)[0]
        np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
        assert image.get_data_dtype() == (np.uint8 if name == "mask" else np.float32)
        np.testing.assert_allclose(image.affine, native.affine, atol=1e-5)


def test_headers_hold_the_position_and_no_text(maps: Maps, native: Grid, tmp_path: Path) -> None:
    header = nib.load(written(maps, tmp_path, native)[0]).header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-4)
    assert header.get_xyzt_units()[0] == "mm"
    assert header["descrip"].item() == header["aux_file"].item() == header["intent_name"].item() == b""
    assert not header.extensions


def test_a_sheared_grid_has_no_qform(maps: Maps) -> None:
    sheared = np.array([[2, 0.5, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image.from_bytes(gzip.decompress(nifti_bytes(maps.mask, Grid(maps.mask.shape, sheared))))
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 1)
    np.testing.assert_array_equal(image.affine, sheared)


def test_the_gzip_holds_no_time_and_no_name(maps: Maps, native: Grid) -> None:
    content = nifti_bytes(maps.mask, maps.grid)
    assert content[:3] == b"\x1f\x8b\x08"
    assert content[3] == 0  # no flags: no file name, no comment
    assert content[4:8] == b"\0\0\0\0"  # no time
    assert len(gzip.decompress(content)) == 352 + maps.mask.size


def test_the_same_values_give_the_same_bytes(maps: Maps, native: Grid, tmp_path: Path) -> None:
    first, second = (sha256_by_name(written(maps, tmp_path / run, native)) for run in ("a", "b"))
    assert first == second
    assert len(set(first.values())) == 14


def test_the_mask_written_has_the_volume_reported(maps: Maps, native: Grid, draws: VolumeDraws, tmp_path: Path) -> None:
    paths = written(maps, tmp_path, native, draws=draws)
    sidecar = json.loads(paths[7].read_text())
    voxels = int(np.asarray(nib.load(paths[0]).dataobj).sum())
    assert sidecar["VolumeMl"] == pytest.approx(voxels * native.voxel_ml, abs=1e-6)
    assert voxels == np.count_nonzero(maps.mask)
    assert sidecar["VolumeDrawsMl"] == pytest.approx(draws.volumes_ml)
    assert (sidecar["Threshold"], sidecar["Draws"], sidecar["Sources"]) == (0.5, 20, ["sub-01_dwi.nii.gz"])
    assert sidecar["HighThreshold"] == maps.high_threshold
    assert "Research use only" in sidecar["Use"]
    assert json.loads(paths[9].read_text())["Units"] == "nat"


def test_on_another_grid_mask_and_probability_agree(maps: Maps) -> None:
    finer = on_native(maps, respaced(maps.grid, (3.0, 3.0, 4.0)))
    np.testing.assert_array_equal(finer.mask, finer.probability >= np.float32(0.5))
    volumes = [np.count_nonzero(m.mask) * m.grid.voxel_ml for m in (maps, finer)]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.1)


def test_an_edited_mask_is_written_unchanged(maps: Maps, native: Grid) -> None:
    fewer = replace(maps, mask=np.zeros_like(maps.mask))
    assert not on_native(fewer, native).mask.any()


def test_a_second_run_is_refused_and_names_the_file(maps: Maps, native: Grid, tmp_path: Path) -> None:
    before = sha256_by_name(written(maps, tmp_path, native))
    emptied = replace(maps, mask=np.zeros_like(maps.mask))
    with pytest.raises(OutputRefused, match=r"label-lesion_mask\.nii\.gz"):
        written(emptied, tmp_path, native)
    assert sha256_by_name(tmp_path.rglob("sub-*.*")) == before
    assert sha256_by_name(written(emptied, tmp_path, native, overwrite=True)) != before


def test_a_raw_data_set_is_never_written_into(maps: Maps, native: Grid, tmp_path: Path) -> None:
    (tmp_path / "dataset_description.json").write_text('{"Name": "raw", "BIDSVersion": "1.8.0"}')
    with pytest.raises(OutputRefused, match="another data set"):
        written(maps, tmp_path, native)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset_description.json"]


def test_findings_and_manifest(findings: Findings, draws: VolumeDraws, run: RunRecord, tmp_path: Path) -> None:
    stored = json.loads(write_findings(findings, draws, tmp_path, name="sub-01").read_text())
    assert stored["findings"]["volume_ml"]["value"] == findings.volume_ml.value
    assert stored["findings"]["regions"][1]["side"] == "right"
    assert stored["draws"]["components"] == list(draws.components)
    manifest = write_run(run, tmp_path, name="sub-01", target="lesion")
    assert manifest == tmp_path / "sub-01_label-lesion_run.json"
    assert json.loads(manifest.read_text())["conversions"][1]["warning"] is True
    with pytest.raises(OutputRefused, match=r"_run\.json"):
        write_run(run, tmp_path, name="sub-01", target="lesion")


def test_the_tree_is_valid_bids(
    maps: Maps, native: Grid, findings: Findings, draws: VolumeDraws, run: RunRecord, tmp_path: Path
) -> None:
    beside = Path(sys.executable).with_name("bids-validator-deno")
    validator = str(beside) if beside.exists() else shutil.which("bids-validator-deno")
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    for name in ("sub-01_ses-2", "patient 3"):
        write_maps(maps, tmp_path, name=name, native=native, modality_source="sub-01_dwi.nii.gz", draws=draws)
        write_findings(findings, draws, tmp_path, name=name)
        write_run(run, tmp_path, name=name, target="lesion")
    (tmp_path / "sub-01_ses-2.html").write_text("<!doctype html>")
    result = subprocess.run([validator, "--json", str(tmp_path)], capture_output=True, text=True, check=False)
    issues = json.loads(result.stdout)["issues"]["issues"]
    # Who the authors are is for the user to say.
    assert [i for i in issues if i["code"] != "TOO_FEW_AUTHORS"] == []
    assert result.returncode == 0
    assert json.loads(result.stdout)["summary"]["totalFiles"] > 4
