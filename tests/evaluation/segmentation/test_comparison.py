"""Scores of a case, and the table of many."""

from math import isnan, nan
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations
from adumbra.evaluation.segmentation.comparison import scores, table
from adumbra.evaluation.segmentation.registry import METRICS


def test_scores_have_every_metric_of_the_registry() -> None:
    mask = np.ones((2, 2, 2), dtype=bool)
    result = scores(mask, mask, Grid((2, 2, 2), np.eye(4)))
    assert list(result) == list(METRICS)
    assert result["dice"] == result["lesion_f1"] == 1.0


def test_scores_cite_what_their_metrics_cite() -> None:
    assert citations(scores) == ("Dice1945", "HernandezPetzsche2022")


def test_a_table_leaves_the_undefined_out() -> None:
    summary_table = table(
        {"a": {"dice": 0.2, "precision": nan}, "b": {"dice": 0.4, "precision": 0.5}, "c": {"dice": 0.9}}
    )
    dice, precision = summary_table.summary["dice"], summary_table.summary["precision"]
    assert (dice.cases, dice.mean, dice.median) == (3, pytest.approx(0.5), pytest.approx(0.4))
    assert (dice.low, dice.high) == (pytest.approx(0.3), pytest.approx(0.65))
    assert (precision.cases, precision.median) == (1, 0.5)


def test_a_metric_that_no_case_defines_is_nan() -> None:
    summary_table = table({"a": {"precision": nan}})
    assert summary_table.summary["precision"].cases == 0
    assert isnan(summary_table.summary["precision"].median)
    assert table({}).summary == {}


def test_the_threshold_baseline_of_the_real_case_scores_as_published(shared_data: Path) -> None:
    """ADC below 620 and bright DWI give a Dice of about 0.34 on this case: the baseline of a network."""
    case = shared_data / "isles22"
    read = {kind: nib.load(next(case.rglob(f"*_{kind}.nii.gz"))) for kind in ("dwi", "adc", "msk")}
    dwi, adc, truth = (np.asarray(read[kind].dataobj, dtype=np.float32) for kind in ("dwi", "adc", "msk"))
    brain = dwi > 0.1 * np.quantile(dwi, 0.99)
    bright = dwi > dwi[brain].mean() + 1.5 * dwi[brain].std()
    prediction = bright & (adc < 0.62 if np.median(adc[brain]) < 10 else adc < 620) & brain
    result = scores(prediction, truth > 0.5, Grid(truth.shape, read["msk"].affine.astype(np.float64)))
    assert 0.2 < result["dice"] < 0.5
    assert 0.0 < result["lesion_f1"] < 1.0
    assert result["detected"] == 1.0
