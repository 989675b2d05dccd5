"""The study of lesion arms: tables checked by hand, and two arms of two steps on synthetic cases."""

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from adumbra.cases.registry import CaseLocation
from adumbra.core.errors import UnreadableFile
from adumbra.experiments.lesion_arms import design, measure, rows, table, train
from adumbra.experiments.lesion_arms.__main__ import main
from adumbra.networks.registry import network_of
from adumbra.phantom.presets import PRESETS
from adumbra.simulation.cohort import PhantomRef
from adumbra.training.options import LossKind
from adumbra.training.state import State
from training.blobs import blob_case

STUDY = design.Study(design.ROWS)


def row_of(arm, dice, *, seed=0, budget=STUDY.budget, seconds=600.0):
    """A row with the Dice of each case at the thresholds 0.4 and 0.5."""
    scores = {
        f"sub-{number}": {
            threshold: {**dict.fromkeys(measure.MEASURES, 0.5), "dice": value}
            for threshold, value in zip(("0.4", "0.5"), values, strict=True)
        }
        for number, values in enumerate(dice)
    }
    return rows.Row(arm, seed, budget, 650, seconds, 3_700_000, {"multicentric": scores}, {})


def test_every_arm_is_a_training_with_the_same_data_and_optimiser():
    configs = [design.arm_config(STUDY, arm, seed=1, steps=100) for arm in design.ARMS.values()]
    assert len({(config.data, config.optimiser, config.seed) for config in configs}) == 1
    for arm, config in zip(design.ARMS.values(), configs, strict=True):
        assert {*arm.presets} <= {*PRESETS}
        assert network_of(config.network).config == config.network
    assert {config.loss.kind for config in configs} == {*get_args(LossKind)}


def test_arms_can_be_fine_tuned_from_the_same_weights():
    study = replace(STUDY, initial="lesion", learning_rate=5e-4)
    plain = [arm for arm in design.ARMS.values() if arm.architecture == "unet"]
    for arm in plain:
        config = design.arm_config(study, arm, seed=0, steps=10)
        assert (config.optimiser.initial, config.optimiser.learning_rate) == ("lesion", 5e-4)
        State(config, torch.device("cpu"))  # The weights fit, also with channels of the mirrored hemisphere.
    assert study.budget["initial"] == "lesion"
    tuned = row_of("baseline", [(0.1, 0.1)], budget=study.budget)
    assert "after 600 CPU-seconds from lesion on 120 others" in next(iter(table.table_lines([tuned])))


def test_patients_of_all_arms_have_the_same_seeds():
    study = replace(STUDY, cases=4)
    mixed = study.patients(design.Arm(presets=("diffusion", "lesion-mixture")))
    assert [patient.preset for patient in mixed] == ["diffusion", "lesion-mixture"] * 2
    assert [p.name for p in mixed] == [p.name for p in study.patients(design.ARMS["baseline"])]
    assert not {p.name for p in mixed} & {measure.case_name(design.HELD_OUT_SEED, n) for n in range(4)}


def test_the_table_by_hand():
    """Paired gains of 0.1 in each of two cases; a threshold of 0.4 is best for the other case."""
    base = row_of("baseline", [(0.6, 0.5), (0.8, 0.7)])
    arm = row_of("component-dice", [(0.6, 0.6), (0.8, 0.8)], seconds=None)
    lines = list(table.table_lines([base, arm]))
    assert lines[0] == "### multicentric: 2 held-out phantoms, after 600 CPU-seconds on 120 others"
    assert lines[4].startswith("| baseline | 1 | 650 | 600 | 3.70 million | 0.600 |  | 0.500 |  |")
    assert lines[4].endswith("| 0.700 |  |")
    gain = "+0.100 (+0.100 to +0.100)"
    assert lines[5].startswith(f"| component-dice | 1 | 650 | interrupted | 3.70 million | 0.700 | {gain} | 0.500 |")
    assert lines[5].endswith("| 0.700 | +0.000 (+0.000 to +0.000) |")
    assert list(table.table_lines([])) == ["No arm has been trained yet."]


def test_undefined_values_and_other_budgets_are_kept_apart():
    base, arm = row_of("baseline", [(0.5, None), (0.5, 0.5)]), row_of("strided", [(0.5, 0.9), (0.5, 0.6)])
    assert np.isnan(table.case_values(base, "multicentric", "dice")["sub-0"])
    nothing = row_of("mirrored", [(0.5, None), (0.5, None)])
    assert list(table.table_lines([nothing]))[4].split(" | ")[5:7] == ["undefined", ""]
    other = row_of("baseline", [(0.1, 0.1), (0.1, 0.1)], budget=replace(STUDY, steps=5).budget)
    lines = list(table.table_lines([base, arm, other]))
    assert "| 0.500 |  |" in lines[4]
    assert lines[5].split(" | ")[6] == "", "one defined pair gives no interval"
    assert "after 5 steps" in lines[7]


def test_rows_are_replaced_by_key(tmp_path):
    file = tmp_path / "rows.jsonl"
    assert rows.read_rows(file) == ()
    first, again = row_of("baseline", [(0.1, 0.2)]), row_of("baseline", [(0.3, 0.4)])
    for row in (first, row_of("baseline", [(0.1, 0.2)], seed=1), again):
        rows.write_row(file, row)
    assert [row.seed for row in rows.read_rows(file)] == [1, 0]
    assert rows.read_rows(file)[1] == again


def test_a_page_without_a_place_for_tables_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    with pytest.raises(UnreadableFile, match="end of table"):
        table.write_tables(tmp_path / "rows.jsonl", page)


def test_the_page_has_the_tables_of_the_stored_rows(project_root):
    text = (project_root / design.PAGE).read_text("utf-8")
    lines = "\n".join(table.table_lines(rows.read_rows(project_root / design.ROWS)))
    assert f"{table.BEGIN}\n\n{lines}\n\n{table.END}" in text
    assert {arm for arm in design.ARMS if f"`{arm}`" not in text} == set()


@pytest.fixture
def synthetic(monkeypatch):
    """Boxes of noise with balls in place of phantoms: simulated patients and held-out files."""

    def held_out(study, preset, **_):
        return tuple(CaseLocation(f"sub-{90 + n}", study.out / preset) for n in range(study.measured_cases))

    monkeypatch.setattr(PhantomRef, "open", lambda patient: blob_case(patient.number))
    monkeypatch.setattr(CaseLocation, "open", lambda location: blob_case(int(location.name[4:])))
    monkeypatch.setattr(train, "held_out_cases", held_out)


def test_two_arms_are_trained_measured_and_not_repeated(synthetic, tmp_path, capsys):
    file, page = tmp_path / "rows.jsonl", tmp_path / "page.md"
    page.write_text(f"# Page\n\n{table.BEGIN}\n{table.END}\nText.\n")
    options = ["train", "--out", str(tmp_path / "out"), "--rows", str(file), "--page", str(page), "--steps", "2"]
    options += ["--cases", "2", "--measured", "diffusion", "--measured-cases", "2", "--patch", "32", "--batch", "1"]
    main([*options, "--only", "baseline", "component-tversky"])
    base, arm = rows.read_rows(file)
    assert (base.arm, base.steps, base.parameters) == ("baseline", 2, arm.parameters)
    assert base.details["sha256"] != arm.details["sha256"]
    assert list(base.measured["diffusion"]) == ["sub-90", "sub-91"]
    scores = base.measured["diffusion"]["sub-90"]
    assert list(scores) == [str(threshold) for threshold in measure.THRESHOLDS]
    assert scores["0.2"]["sensitivity"] >= scores["0.8"]["sensitivity"]
    assert (base.cpu_seconds > 0, base.budget["steps"], base.budget["cpu_seconds"]) == (True, 2, None)
    cache = {path.stat().st_ino for path in (tmp_path / "out").glob("cache/*/*.safetensors")}
    linked = {path.stat().st_ino for path in (tmp_path / "out").glob("component-tversky-0/cache/*.safetensors")}
    assert cache == linked, "arms share their cached cases"
    text = page.read_text()
    assert text.startswith("# Page\n\n<!-- table -->\n\n### diffusion: 2 held-out phantoms, after 2 steps on 2 others")
    assert text.endswith("<!-- end of table -->\nText.\n")
    assert capsys.readouterr().out.strip() in text
    before = file.stat().st_mtime_ns
    main([*options, "--only", "baseline"])
    assert file.stat().st_mtime_ns == before


def test_the_steps_follow_from_the_cpu_time_and_stay(monkeypatch, tmp_path):
    study = design.Study(tmp_path, rows=tmp_path / "rows.jsonl", cpu_seconds=10.0, cases=2, measured_cases=1)
    monkeypatch.setattr(train, "seconds_a_step", lambda *_: 2.4)
    assert train._steps_within(study, design.ARMS["baseline"], 0, (), tmp_path) == 4
    assert json.loads((tmp_path / "steps.json").read_text()) == {"seconds_a_step": 2.4, "steps": 4}
    monkeypatch.setattr(train, "seconds_a_step", lambda *_: 1.0)
    assert train._steps_within(study, design.ARMS["baseline"], 0, (), tmp_path) == 4


def test_train_needs_a_folder(capsys):
    with pytest.raises(SystemExit):
        main(["train"])
    assert "train needs --out" in capsys.readouterr().err
