"""``adumbra evaluate`` on masks of four voxels, each number checked by hand, and on a real lesion mask."""

import csv
import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from adumbra.cli.main import main

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])  # 8 mm³ a voxel


def masked(path, voxels, *, shape=(6, 4, 3), affine=AFFINE):
    mask = np.zeros(shape, dtype=np.uint8)
    for voxel in voxels:
        mask[voxel] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(mask, affine), path)
    return path


HALF = [(0, 0, 0), (1, 0, 0)], [(1, 0, 0), (2, 0, 0)]  # One voxel of two is shared: Dice 1/2.


@pytest.fixture
def folders(tmp_path):
    """Two cases on both sides, one with a prediction only, one with ground truth only."""
    predicted, true = tmp_path / "predicted", tmp_path / "true"
    masked(predicted / "sub-1" / "anat" / "sub-1_label-lesion_mask.nii.gz", HALF[0])
    masked(true / "sub-1_msk.nii.gz", HALF[1])
    for folder, name in ((predicted, "sub-2_label-lesion_mask.nii.gz"), (true, "sub-2_msk.nii.gz")):
        masked(folder / name, [(3, 3, 2)])
    masked(predicted / "sub-3_label-lesion_mask.nii.gz", [])
    masked(true / "sub-4_msk.nii.gz", [])
    return predicted, true


def evaluated(capsys, pred, truth, *more):
    code = main(["evaluate", "--pred", str(pred), "--truth", str(truth), "--json", "--no-progress", *more])
    return code, json.loads(capsys.readouterr().out)


def test_scores_missing_counterparts_and_exit_code(folders, capsys):
    code, result = evaluated(capsys, *folders)
    assert code == 3
    assert {case: row["dice"] for case, row in result["cases"].items()} == {"sub-1": 0.5, "sub-2": 1.0}
    assert result["summary"]["dice"]["mean"] == 0.75
    assert result["summary"]["dice"]["cases"] == 2
    assert (result["without_truth"], result["without_prediction"]) == (["sub-3"], ["sub-4"])


def test_the_table_shows_cases_missing_counterparts_and_research_use(folders, capsys):
    assert main(["evaluate", "--pred", str(folders[0]), "--truth", str(folders[1]), "--no-progress"]) == 3
    shown = capsys.readouterr().out
    for word in (
        "sub-1",
        "0.500",
        "mean",
        "0.750",
        "No ground truth for: sub-3",
        "No prediction for: sub-4",
        "Research use",
    ):
        assert word in shown


def test_two_files_are_compared_whatever_their_names(tmp_path, capsys):
    code, result = evaluated(
        capsys, masked(tmp_path / "predicted.nii.gz", HALF[0]), masked(tmp_path / "true.nii", HALF[1])
    )
    assert code == 0
    assert result["cases"]["predicted"]["dice"] == 0.5
    assert result["cases"]["predicted"]["volume_difference_ml"] == 0


def test_flipped_axes_are_the_same_grid(tmp_path, capsys):
    """Voxels stored from right to left, with an affine that says so, are the same voxels of the patient."""
    flipped = np.diag([-2.0, 2.0, 2.0, 1.0])
    flipped[0, 3] = 5 * 2.0
    truth = masked(tmp_path / "truth.nii.gz", [(5 - i, j, k) for i, j, k in HALF[0]], affine=flipped)
    code, result = evaluated(capsys, masked(tmp_path / "prediction.nii.gz", HALF[0]), truth)
    assert (code, result["cases"]["prediction"]["dice"]) == (0, 1.0)


def test_another_grid_is_refused(tmp_path, capsys):
    shifted = AFFINE.copy()
    shifted[2, 3] = 0.02
    code, result = evaluated(
        capsys, masked(tmp_path / "a.nii.gz", HALF[0]), masked(tmp_path / "b.nii.gz", HALF[0], affine=shifted)
    )
    assert code == 4
    assert result["error"]["kind"] == "GridMismatch"
    assert "0.02 mm apart" in result["error"]["found"]


def test_a_failed_case_among_others_is_reported_with_exit_code_3(folders, capsys):
    predicted, true = folders
    masked(true / "sub-2_msk.nii.gz", [(0, 0, 0)], shape=(7, 4, 3))
    code, result = evaluated(capsys, predicted, true)
    assert code == 3
    assert list(result["cases"]) == ["sub-1"]
    assert "(7, 4, 3)" in result["failed"]["sub-2"]


def test_no_case_on_both_sides(tmp_path, capsys):
    for side in "ab":
        for n in (1, 2):
            masked(tmp_path / side / f"sub-{side}{n}_mask.nii.gz", [])
    code, result = evaluated(capsys, tmp_path / "a", tmp_path / "b")
    assert code == 4
    assert result["error"]["found"] == "predictions: sub-a1, sub-a2; ground truth: sub-b1, sub-b2"


def test_an_undefined_metric_is_null_in_json(tmp_path, capsys):
    """Sensitivity is undefined where the ground truth is empty."""
    code, result = evaluated(capsys, masked(tmp_path / "a.nii.gz", []), masked(tmp_path / "b.nii.gz", []))
    assert code == 0
    assert result["cases"]["a"]["sensitivity"] is None
    assert result["cases"]["a"]["lesion_f1"] == 1.0


def test_csv_holds_the_same_scores_and_is_not_overwritten_by_accident(folders, tmp_path, capsys):
    path = tmp_path / "scores" / "scores.csv"
    _, result = evaluated(capsys, *folders, "--csv", str(path))
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [row["case"] for row in rows] == ["sub-1", "sub-2"]
    assert [float(row["dice"]) for row in rows] == [0.5, 1.0]
    assert set(rows[0]) == {"case", *result["summary"]}
    code, result = evaluated(capsys, *folders, "--csv", str(path))
    assert (code, result["error"]["kind"]) == (1, "OutputRefused")
    assert evaluated(capsys, *folders, "--csv", str(path), "--overwrite")[0] == 3
    assert [p.name for p in path.parent.iterdir()] == ["scores.csv"]


def test_predictions_beside_the_ground_truth_are_skipped(tmp_path, capsys):
    root = tmp_path / "derivatives"
    masked(root / "expert" / "sub-1_label-lesion_mask.nii.gz", HALF[1])
    prediction = masked(root / "adumbra" / "sub-1_label-lesion_mask.nii.gz", HALF[0])
    shutil.copy(prediction, prediction.with_name("sub-1_label-lesion_desc-entropy_uncertainty.nii.gz"))
    code, result = evaluated(capsys, root / "adumbra", root)
    assert (code, result["cases"]["sub-1"]["dice"]) == (0, 0.5)


def test_the_expert_mask_of_a_real_case_against_itself(shared_data, capsys):
    root = shared_data / "isles22"
    mask = next(root.rglob("*_msk.nii.gz"))
    code, result = evaluated(capsys, mask, root)
    assert code == 0
    ((_, row),) = result["cases"].items()
    assert (row["dice"], row["lesion_f1"], row["count_difference"]) == (1.0, 1.0, 0.0)
