"""``adumbra evaluate`` on masks of four voxels, each figure checked by hand, and on a real outline."""

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


HALF = [(0, 0, 0), (1, 0, 0)], [(1, 0, 0), (2, 0, 0)]  # one voxel of two in common: Dice 1/2


@pytest.fixture
def folders(tmp_path):
    """Two cases in common, one predicted only, one outlined only."""
    predicted, outlined = tmp_path / "predicted", tmp_path / "outlined"
    masked(predicted / "sub-1" / "anat" / "sub-1_label-lesion_mask.nii.gz", HALF[0])
    masked(outlined / "sub-1_msk.nii.gz", HALF[1])
    for folder, name in ((predicted, "sub-2_label-lesion_mask.nii.gz"), (outlined, "sub-2_msk.nii.gz")):
        masked(folder / name, [(3, 3, 2)])
    masked(predicted / "sub-3_label-lesion_mask.nii.gz", [])
    masked(outlined / "sub-4_msk.nii.gz", [])
    return predicted, outlined


def evaluated(capsys, pred, truth, *more):
    code = main(["evaluate", "--pred", str(pred), "--truth", str(truth), "--json", "--no-progress", *more])
    return code, json.loads(capsys.readouterr().out)


def test_scores_gaps_and_exit_code(folders, capsys):
    code, result = evaluated(capsys, *folders)
    assert code == 3
    assert {case: row["dice"] for case, row in result["cases"].items()} == {"sub-1": 0.5, "sub-2": 1.0}
    assert result["summary"]["dice"]["mean"] == 0.75
    assert result["summary"]["dice"]["cases"] == 2
    assert (result["without_truth"], result["without_prediction"]) == (["sub-3"], ["sub-4"])


def test_the_table_shows_cases_gaps_and_what_it_is_for(folders, capsys):
    assert main(["evaluate", "--pred", str(folders[0]), "--truth", str(folders[1]), "--no-progress"]) == 3
    shown = capsys.readouterr().out
    for word in ("sub-1", "0.500", "mean", "0.750", "No truth for: sub-3", "No prediction for: sub-4", "Research use"):
        assert word in shown


def test_two_files_whatever_their_names(tmp_path, capsys):
    code, result = evaluated(capsys, masked(tmp_path / "mine.nii.gz", HALF[0]), masked(tmp_path / "yours.nii", HALF[1]))
    assert code == 0
    assert result["cases"]["mine"]["dice"] == 0.5
    assert result["cases"]["mine"]["volume_difference_ml"] == 0


def test_flipped_axes_are_the_same_grid(tmp_path, capsys):
    """Stored from right to left with an affine that says so: the same voxels of the patient."""
    turned = np.diag([-2.0, 2.0, 2.0, 1.0])
    turned[0, 3] = 5 * 2.0
    truth = masked(tmp_path / "truth.nii.gz", [(5 - i, j, k) for i, j, k in HALF[0]], affine=turned)
    code, result = evaluated(capsys, masked(tmp_path / "prediction.nii.gz", HALF[0]), truth)
    assert (code, result["cases"]["prediction"]["dice"]) == (0, 1.0)


def test_another_grid_is_refused(tmp_path, capsys):
    moved = AFFINE.copy()
    moved[2, 3] = 0.02
    code, result = evaluated(
        capsys, masked(tmp_path / "a.nii.gz", HALF[0]), masked(tmp_path / "b.nii.gz", HALF[0], affine=moved)
    )
    assert code == 4
    assert result["error"]["kind"] == "GridMismatch"
    assert "0.02 mm apart" in result["error"]["found"]


def test_one_bad_case_among_good_ones_is_told_and_3(folders, capsys):
    predicted, outlined = folders
    masked(outlined / "sub-2_msk.nii.gz", [(0, 0, 0)], shape=(7, 4, 3))
    code, result = evaluated(capsys, predicted, outlined)
    assert code == 3
    assert list(result["cases"]) == ["sub-1"]
    assert "(7, 4, 3)" in result["failed"]["sub-2"]


def test_nothing_in_common(tmp_path, capsys):
    for side in "ab":
        for n in (1, 2):
            masked(tmp_path / side / f"sub-{side}{n}_mask.nii.gz", [])
    code, result = evaluated(capsys, tmp_path / "a", tmp_path / "b")
    assert code == 4
    assert result["error"]["found"] == "predicted: sub-a1, sub-a2; outlined: sub-b1, sub-b2"


def test_undefined_is_null_in_json(tmp_path, capsys):
    """Sensitivity has no meaning where there is nothing to be found."""
    code, result = evaluated(capsys, masked(tmp_path / "a.nii.gz", []), masked(tmp_path / "b.nii.gz", []))
    assert code == 0
    assert result["cases"]["a"]["sensitivity"] is None
    assert result["cases"]["a"]["lesion_f1"] == 1.0


def test_csv_holds_the_same_and_is_not_overwritten_by_accident(folders, tmp_path, capsys):
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


def test_predictions_beside_the_truth_are_no_truth(tmp_path, capsys):
    root = tmp_path / "derivatives"
    masked(root / "expert" / "sub-1_label-lesion_mask.nii.gz", HALF[1])
    ours = masked(root / "adumbra" / "sub-1_label-lesion_mask.nii.gz", HALF[0])
    shutil.copy(ours, ours.with_name("sub-1_label-lesion_desc-entropy_uncertainty.nii.gz"))
    code, result = evaluated(capsys, root / "adumbra", root)
    assert (code, result["cases"]["sub-1"]["dice"]) == (0, 0.5)


def test_the_expert_outline_of_a_real_case_against_itself(shared_data, capsys):
    root = shared_data / "isles22"
    mask = next(root.rglob("*_msk.nii.gz"))
    code, result = evaluated(capsys, mask, root)
    assert code == 0
    ((_, row),) = result["cases"].items()
    assert (row["dice"], row["lesion_f1"], row["count_difference"]) == (1.0, 1.0, 0.0)
