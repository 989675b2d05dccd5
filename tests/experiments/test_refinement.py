"""The study of refinement: its rows, which a second run continues, and its page."""

import json
import math

import numpy as np
import pytest

from adumbra.core.case import Case, Scan
from adumbra.core.errors import ImplausibleValues
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import SelectionConfig
from adumbra.experiments import refinement
from adumbra.experiments.refinement import ARMS, RefinementStudy, read_rows, run_study
from adumbra.experiments.refinement_page import difference, page, preset_lines
from adumbra.simulation.cohort import PhantomRef


def row(case, arm, dice, *, preset="diffusion", trial=False, study="s", windows=4, true_ml=8.0):
    scores = {"dice": dice, "lesion_f1": 0.5, "sensitivity": math.nan, "precision": 1.0}
    read = 0 if arm == "first" else windows
    return {
        **{"study": study, "trial": trial, "case": case, "preset": preset, "arm": arm, "scores": scores},
        **{"windows": read, "all_windows": 0 if arm == "first" else 16, "cpu_s": 2.0},
        **{"true_ml": true_ml, "predicted_ml": 3.0 if arm == "uncertain" else 0.0},
    }


def rows_of(gain, **settings):
    values = {"first": 0.5, "uncertain": 0.5 + gain, "random": 0.5, "all": 0.6, "error": 0.7}
    return [row(f"c{n}", arm, values[arm] + 0.01 * n, **settings) for n in range(3) for arm in ARMS]


def test_the_table_by_hand():
    lines = list(preset_lines(rows_of(0.1), "diffusion"))
    assert lines[0] == "### diffusion: 3 phantoms with a lesion"
    first, uncertain = (next(line for line in lines if line.startswith(f"| {arm} |")) for arm in ("first", "uncertain"))
    assert first.split(" | ")[1:3] == ["0.510", ""]
    assert uncertain.split(" | ")[1:3] == ["0.610", "+0.100 (+0.100 to +0.100)"]
    assert uncertain.endswith("| 4.0 | 25% | 2.0 |")
    assert "undefined" in uncertain, "the sensitivity has no value"
    assert any(line.startswith("`uncertain` against `random`: Dice +0.100") for line in lines)


def test_phantoms_without_a_lesion_have_their_own_line():
    healthy = [row("healthy", arm, float(arm == "first"), true_ml=0.0) for arm in ARMS]
    lines = list(preset_lines([*rows_of(0.1), *healthy], "diffusion"))
    assert lines[:-2] == list(preset_lines(rows_of(0.1), "diffusion"))
    assert lines[-2].startswith(
        "Falsely segmented, mean of 1 phantoms without a lesion: first 0.00 ml, uncertain 3.00 ml"
    )


def test_only_cases_that_all_arms_have_are_compared():
    rows = rows_of(0.1)[:-1]  # the last case lacks its last arm
    assert next(preset_lines(rows, "diffusion")) == "### diffusion: 2 phantoms with a lesion"


def test_a_difference_needs_two_cases():
    assert difference(np.array([0.1, math.nan])) == "undefined"


def test_the_page_shows_no_trial_and_one_study():
    assert "no rows yet" in page(rows_of(0.1, trial=True))
    assert "### diffusion: 3 phantoms with a lesion" in page([*rows_of(0.1), *rows_of(0.9, trial=True, study="t")])
    with pytest.raises(ImplausibleValues):
        page([*rows_of(0.1), *rows_of(0.1, study="other")])


def test_an_unfinished_last_line_is_left_out_and_a_damaged_one_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert list(read_rows(path)) == []
    path.write_text('{"a": 1}\n{"a": ')
    assert list(read_rows(path)) == [{"a": 1}]
    path.write_text('{"a": \n{"a": 2}\n')
    with pytest.raises(ImplausibleValues, match="line 1"):
        list(read_rows(path))


def test_the_page_of_the_repository_comes_from_its_rows(project_root):
    results = project_root / "docs" / "results"
    assert (results / "refinement.md").read_text("utf-8") == page(list(read_rows(results / "refinement.jsonl")))


@pytest.fixture
def tiny_case():
    """A head of 5 cm with a bright lesion."""
    grid = Grid((25, 25, 25), np.diag([2.0, 2.0, 2.0, 1.0]))
    distance = np.linalg.norm(np.indices(grid.shape).transpose(1, 2, 3, 0) - 12.0, axis=-1)
    brain, lesion = distance < 10, np.linalg.norm(np.indices(grid.shape).T - 9.0, axis=-1).T < 3
    rng = np.random.default_rng(0)
    dwi = (brain * (100 + 200 * lesion) + rng.gamma(2.0, 3.0, grid.shape)).astype(np.float32)
    adc = np.where(lesion, 0.4, 0.8).astype(np.float32)
    scans = {"dwi": Scan(dwi, grid, grid, b_value=1000.0), "adc": Scan(adc, grid, grid)}
    return Case("tiny", scans, {"brain": Scan(brain, grid, grid), "lesion": Scan(lesion, grid, grid)})


def test_a_study_is_continued(tiny_case, tmp_path, monkeypatch):
    """With the released network at a spacing that it was not trained for, so that its rows are marked."""
    opened = []
    monkeypatch.setattr(PhantomRef, "open", lambda self: opened.append(self.name) or tiny_case)
    monkeypatch.setattr(refinement, "ARMS", {arm: ARMS[arm] for arm in ("first", "uncertain", "random")})
    study = RefinementStudy(
        ("lesion",), ("lesion",), draws=1, selection=SelectionConfig(most=1, draws=1), second_spacing_mm=2.5, threads=1
    )
    cases, path = [PhantomRef(95, 0)], tmp_path / "rows.jsonl"
    rows = run_study(study, cases, path)
    assert [(row["arm"], row["windows"]) for row in rows] == [("first", 0), ("uncertain", 1), ("random", 1)]
    assert all(row["trial"] and row["true_ml"] > 0 for row in rows)
    path.write_text("\n".join(path.read_text().splitlines()[:2]) + '\n{"study": "interru')
    again = run_study(study, cases, path)
    assert len(opened) == 2
    assert [row["scores"]["dice"] for row in again] == [row["scores"]["dice"] for row in rows]
    assert run_study(study, cases, path)
    assert len(opened) == 2, "nothing is left to compute"
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 3
