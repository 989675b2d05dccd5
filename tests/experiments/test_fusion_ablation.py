"""The fusion ablation: measures checked by hand, the stored rows, and a study of two arms on tiny phantoms."""

import json
import math

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues
from adumbra.experiments.fusion_ablation import design, table, train
from adumbra.experiments.fusion_ablation.__main__ import main

LEVELS = len(table.THRESHOLDS)


@pytest.fixture(scope="module")
def rows(project_root):
    return project_root / design.ROWS


def counts(true, predicted, both):
    """The counts of a case: the first value below a threshold of 0.5, the second from there on."""
    low, high = 9, LEVELS - 9
    return {
        "case": "sub-1",
        "true_voxels": true,
        "predicted_voxels": [predicted[0]] * low + [predicted[1]] * high,
        "true_positives": [both[0]] * low + [both[1]] * high,
    }


def run_of(*cases):
    return {"arm": "early", "seed": 0, "cases": 4, "steps": 1, "results": list(cases)}


def test_voxels_are_counted_at_every_threshold():
    probability = np.array([[[0.06, 0.51, 0.96, 0.21]]], dtype=np.float32)
    truth = np.array([[[False, True, True, False]]])
    result = train.threshold_counts(probability, truth)
    assert result["true_voxels"] == 2
    assert result["predicted_voxels"] == [4] + [3] * 3 + [2] * 6 + [1] * 9
    assert result["true_positives"] == [2] * 10 + [1] * 9


def test_measures_of_a_case_at_a_threshold():
    case = counts(4, (8, 2), (4, 2))
    assert table.counted_measures(case, 0) == {"dice": 8 / 12, "sensitivity": 1.0, "precision": 0.5, "detected": 1.0}
    assert table.counted_measures(case, 9) == {"dice": 4 / 6, "sensitivity": 0.5, "precision": 1.0, "detected": 1.0}


def test_measures_without_a_target_or_a_prediction_are_undefined():
    empty = table.counted_measures(counts(0, (8, 0), (0, 0)), 0)
    assert empty["precision"] == 0.0
    assert all(math.isnan(empty[name]) for name in ("dice", "sensitivity", "detected"))
    missed = table.counted_measures(counts(4, (0, 0), (0, 0)), 0)
    assert (missed["dice"], missed["sensitivity"], missed["detected"]) == (0.0, 0.0, 0.0)
    assert math.isnan(missed["precision"])


def test_the_threshold_of_a_case_is_the_best_of_the_others():
    """The first case is better at low thresholds, the second at high ones, and by more."""
    first, second = counts(4, (4, 4), (4, 3)), counts(4, (4, 4), (1, 4))
    measures = table.case_measures(run_of(first, second))
    assert [case["dice"] for case in measures] == [0.75, 0.25]
    assert [case["dice_at_best_threshold"] for case in measures] == [0.75, 1.0]


def test_a_mean_difference_leaves_out_undefined_cases():
    assert table.mean_difference(np.array([0.5, np.nan, 0.5])) == "+0.500 (+0.500 to +0.500)"
    assert table.mean_difference(np.array([0.5, np.nan])) == ""


def test_runs_of_different_budgets_are_rejected(tmp_path):
    for steps in (1, 2):
        (tmp_path / f"early-{steps}.json").write_text(json.dumps(run_of(counts(4, (4, 4), (4, 4))) | {"steps": steps}))
    with pytest.raises(ImplausibleValues, match="budget"):
        table.read_runs(tmp_path)


@pytest.mark.parametrize("target", ["lesion", "thrombus"])
def test_the_stored_rows_hold_every_arm_and_seed(target, rows):
    runs = table.read_runs(rows / target)
    expected = {(arm, seed) for arm in design.ARMS for seed in (range(3) if arm != design.RELEASED else (0,))}
    assert {(run["arm"], run["seed"]) for run in runs} == expected
    assert {tuple(run["thresholds"]) for run in runs} == {table.THRESHOLDS}
    assert {(rows / target / f"{run['arm']}-{run['seed']}.json").exists() for run in runs} == {True}


def test_the_tables_of_the_stored_rows_are_those_of_the_documentation(rows):
    page = rows.with_suffix(".md").read_text("utf-8")
    for target in ("lesion", "thrombus"):
        lines = list(table.table_lines(rows / target))
        assert len(lines) == 4 + len(design.ARMS)
        assert len(design.ARMS) == 18
        assert [line for line in lines[4:] if line not in page] == []


def test_a_quarter_of_the_thrombus_cohort_has_no_clot(rows):
    clots = json.loads((rows / "has_clot.json").read_text("utf-8"))
    cases = design.Ablation("thrombus", out=rows, cases=len(clots)).cohort()
    selected = design.quarter_without_clot(cases, clots)
    assert len(selected) == len(set(selected)) == 72  # 48 for training and 24 held out, as stored
    with_clot = {case for case, clot in zip(cases, clots, strict=True) if clot}
    assert with_clot < set(selected)
    assert len(set(selected) - with_clot) <= len(selected) / 4


def test_known_clots_are_not_simulated_again(rows):
    clots = train.has_clot(design.Ablation("thrombus", out=rows, cases=5).cohort(), rows / "has_clot.json")
    assert clots == json.loads((rows / "has_clot.json").read_text("utf-8"))[:5]


def test_all_arms_share_budget_and_augmentation():
    ablation = design.Ablation("lesion", out=design.ROWS)
    configs = [design.arm_config(ablation, arm, seed=1) for arm in design.ARMS]
    assert len({config.optimiser for config in configs}) == 1
    assert len({config.data for config in configs}) == 1
    assert {config.seed for config in configs} == {1}
    assert configs[0].optimiser.initial == "lesion"
    assert configs[0].data.missing_ramp == 0.5


def test_from_scratch_halves_the_widths():
    ablation = design.Ablation("lesion", out=design.ROWS, from_scratch=True)
    usual, half = (design.arm_config(a, "early", 0) for a in (design.Ablation("lesion", out=design.ROWS), ablation))
    assert half.network.widths == tuple(width // 2 for width in usual.network.widths)
    assert half.optimiser.initial == ""
    assert ablation.row("early", 0).parent.name == "lesion-from-scratch"


def test_an_existing_row_is_not_computed_again(rows, tmp_path):
    ablation = design.Ablation("lesion", out=tmp_path / "out", rows=rows)
    row = train.train_arm(ablation, "early", 0, cases=())
    assert row == rows / "lesion" / "early-0.json"
    assert not (tmp_path / "out").exists()


def test_a_study_of_two_arms_is_trained_measured_and_resumed(tmp_path, capsys):
    options = ["--out", str(tmp_path / "out"), "--rows", str(tmp_path / "rows"), "--cases", "4", "--held-out", "2"]
    options += ["--steps", "2", "--seeds", "0", "--only", "released", "early"]
    main(["train", *options])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[:2]] == [["lesion", "released", "0"], ["lesion", "early", "0"]]
    assert lines[3] == "### lesion: 2 cases, after 2 steps on 2 others"
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "rows" / "lesion").iterdir()}
    assert {path.name for path in files} == {"released-0.json", "early-0.json"}
    main(["train", *options])
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert capsys.readouterr().out.splitlines() == lines[2:]
