"""The study of thrombus arms: thresholds and differences checked by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adumbra.experiments.clot_arms import table, train
from adumbra.experiments.clot_arms.__main__ import main
from adumbra.experiments.clot_arms.design import ARMS, BASELINE, ClotStudy, arm_config
from adumbra.experiments.lesion_arms.rows import Row, write_row
from adumbra.networks.registry import network_of

STUDY = ClotStudy(Path("work"), Path("out"))


def measures(dice, *, detected=1.0, false_positives=0.0, clot=True):
    """The measures of a case at one pair of thresholds."""
    return {
        "dice": dice,
        "sensitivity": 0.5 if clot else None,
        "detected": detected if clot else None,
        "detected_strictly": detected if clot else None,
        "false_positives": false_positives,
    }


def scores(better):
    """Three cases at a low pair of thresholds with many false positives, and at a high one."""
    return {
        "sub-1": {"low": measures(0.9, false_positives=1.0), "high": measures(0.5 + better)},
        "sub-2": {"low": measures(0.9, false_positives=1.0), "high": measures(0.3 + better, detected=0.0)},
        "sub-3": {"low": measures(0.0, clot=False, false_positives=2.0), "high": measures(1.0, clot=False)},
    }


def row_of(arm, better, *, seed=0):
    return Row(arm, seed, STUDY.budget, 100, 1800.0, 1, {train.PRESET: scores(better)}, {})


def test_the_arms_differ_in_what_the_network_takes_and_in_nothing_else():
    configs = {name: arm_config(STUDY, arm, seed=1, steps=100) for name, arm in ARMS.items()}
    plain = configs[BASELINE]
    assert len(plain.network.modalities) == plain.network.image_channels == 4
    channels = {name: config.network.image_channels - 4 for name, config in configs.items()}
    assert channels == {BASELINE: 0, "mirrored": 4, "coordinates": 3, "vessels": 2, "upstream": 2}
    for config in configs.values():
        assert replace(config, network=plain.network) == plain
        assert network_of(config.network).config == config.network
        assert config.cache == replace(plain.cache, mirrored=config.network.mirrored)


def test_thresholds_are_chosen_on_other_cases_with_few_false_positives():
    values = table.chosen_values(scores(0.0))
    assert values["dice"]["sub-1"] == 0.5
    assert np.isnan(values["dice"]["sub-3"])
    assert values["empty"] == pytest.approx({"sub-1": np.nan, "sub-2": np.nan, "sub-3": 1.0}, nan_ok=True)
    assert values["detected_strictly"] == pytest.approx({"sub-1": 1.0, "sub-2": 0.0, "sub-3": np.nan}, nan_ok=True)
    few = {case: {pair: row | {"false_positives": 0.4} for pair, row in by_pair.items()}
           for case, by_pair in scores(0.0).items()}  # fmt: skip
    assert table.chosen_values(few)["dice"]["sub-1"] == 0.9
    many = {case: {pair: row | {"false_positives": 3.0 if pair == "low" else 2.0} for pair, row in by_pair.items()}
            for case, by_pair in scores(0.0).items()}  # fmt: skip
    assert table.chosen_values(many)["dice"]["sub-1"] == 0.5


def test_differences_are_paired_by_patient_and_averaged_over_seeds():
    rows = [
        row_of(BASELINE, 0.0),
        row_of(BASELINE, 0.0, seed=1),
        row_of("vessels", 0.1),
        row_of("vessels", 0.2, seed=1),
    ]
    lines = list(table.table_lines(rows, train.PRESET))
    cells = {line.split(" | ")[0]: line.split(" | ") for line in lines[3:]}
    assert cells["| none"][1:6] == ["2", "100", "1800", "0.400", ""]
    assert cells["| vessels"][4:6] == ["0.550", "+0.150 (+0.150 to +0.150)"]
    assert cells["| vessels"][6] == "0.500"
    assert "40 held-out phantoms, after 1800 CPU-seconds" in lines[0]


def test_the_table_is_written_beside_the_rows(tmp_path, capsys):
    main(["table", "--out", str(tmp_path)])
    assert "No arm has been trained yet." in capsys.readouterr().out
    study = replace(STUDY, out=tmp_path)
    write_row(study.rows, row_of(BASELINE, 0.0))
    main(["table", "--out", str(tmp_path)])
    assert (tmp_path / "table.md").read_text("utf-8") == capsys.readouterr().out


def test_patches_come_before_whole_heads_and_mirrored_cases_have_a_folder_of_their_own(monkeypatch):
    monkeypatch.setattr("adumbra.experiments.clot_arms.design.keep_heads", lambda *_, **__: ("head91n00000",))
    names = [case.name for case in replace(STUDY, patches=2, cases=3).sources()]
    assert names == ["sub-clots92n000000", "sub-clots92n000001",
                     "sub-phantom93n00000", "sub-phantom94n00000", "sub-phantom94n00001"]  # fmt: skip
    assert STUDY.cache_folder(mirrored=False) != STUDY.cache_folder(mirrored=True)


def test_training_needs_the_folder_of_the_heads(tmp_path):
    with pytest.raises(SystemExit):
        main(["train", "--out", str(tmp_path)])
