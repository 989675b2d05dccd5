"""The measures of each run from its voxel counts, and the table of the study."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adumbra.core.errors import ImplausibleValues
from adumbra.evaluation.statistics import bootstrap_mean
from adumbra.experiments.fusion_ablation.design import ARMS, BASELINE

THRESHOLDS = tuple(float(threshold) for threshold in np.round(np.arange(0.05, 0.96, 0.05), 2))
"""The thresholds at which voxels are counted."""

MEASURES: Mapping[str, str] = {
    "dice": "Dice",
    "dice_at_best_threshold": "at its best",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "detected": "detected",
}
"""The measures of the table, with their headings."""

Run = Mapping[str, Any]
"""A file of results: ``arm``, ``seed``, ``cases``, ``steps``, ``thresholds``, and ``results`` with the counts."""

CaseMeasures = dict[str, float]
"""The measures of one case by name; NaN where a measure is undefined."""


def case_measures(run: Run) -> list[CaseMeasures]:
    """The measures of each held-out case.

    The threshold of a case has the highest mean Dice of the other cases. ``dice_at_best_threshold`` is the Dice at the
    one threshold with the highest mean Dice of all cases.
    """
    results, thresholds = run["results"], range(len(THRESHOLDS))
    dice = np.array([[counted_measures(case, at)["dice"] for at in thresholds] for case in results])
    total = np.nansum(dice, axis=0)
    of_others, best = (total - np.nan_to_num(dice)).argmax(axis=1), int(total.argmax())
    return [
        {**counted_measures(case, at), "dice_at_best_threshold": own[best]}
        for case, at, own in zip(results, of_others.tolist(), dice.tolist(), strict=True)
    ]


def counted_measures(case: Mapping[str, Any], at: int) -> CaseMeasures:
    """The measures of one case at one threshold.

    All but the precision are NaN where the case has no target. The precision is NaN where no voxel is predicted
    positive.

    Args:
        case: The counts, see ``train.threshold_counts``.
        at: Index into ``THRESHOLDS``.
    """
    true, predicted, both = case["true_voxels"], case["predicted_voxels"][at], case["true_positives"][at]
    return {
        "dice": 2 * both / (predicted + true) if true else float("nan"),
        "sensitivity": both / true if true else float("nan"),
        "precision": both / predicted if predicted else float("nan"),
        "detected": float(both > 0) if true else float("nan"),
    }


def read_runs(folder: Path) -> list[Run]:
    """The results of all arms and seeds of a study.

    Raises:
        ImplausibleValues: They have different budgets.
    """
    runs: list[Run] = [json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))]
    budgets = sorted({(run["cases"], run["steps"]) for run in runs})
    if len(budgets) > 1:
        raise ImplausibleValues(
            folder.name,
            expected="runs of one budget",
            found=f"(cases, steps) {budgets}",
            do="keep the runs of another budget in another folder",
        )
    return runs


def table_lines(folder: Path) -> Iterator[str]:
    """The table of a study in Markdown, line by line."""
    runs = read_runs(folder)
    measures = {(run["arm"], run["seed"]): case_measures(run) for run in runs}
    held_out, steps = len(runs[0]["results"]), runs[0]["steps"]
    yield f"### {folder.name}: {held_out} cases, after {steps} steps on {runs[0]['cases'] - held_out} others"
    yield ""
    yield f"| arm | Dice by seed | {' | '.join(f'{title} | against {BASELINE}' for title in MEASURES.values())} |"
    yield "|---|---|" + "---|---|" * len(MEASURES)
    for arm in ARMS:
        if seeds := sorted(seed for other, seed in measures if other == arm):
            yield f"| {' | '.join(_row(arm, seeds, measures))} |"


def _row(arm: str, seeds: Sequence[int], measures: Mapping[tuple[str, int], list[CaseMeasures]]) -> list[str]:
    """The cells of an arm: its mean Dice by seed, then each measure with its difference from the baseline."""

    def by_case(arm: str, seed: int, measure: str) -> np.ndarray:
        return np.array([case[measure] for case in measures[arm, seed]])

    cells = [arm, " ".join(f"{np.nanmean(by_case(arm, seed, 'dice')):.3f}" for seed in seeds)]
    paired = [seed for seed in seeds if (BASELINE, seed) in measures]
    for measure in MEASURES:
        mean = np.nanmean([np.nanmean(by_case(arm, seed, measure)) for seed in seeds])
        gains = [by_case(arm, seed, measure) - by_case(BASELINE, seed, measure) for seed in paired]
        cells += [f"{mean:.3f}", "" if arm == BASELINE else mean_difference(np.mean(gains, axis=0))]
    return cells


def mean_difference(values: np.ndarray) -> str:
    """The mean of paired differences with its 95 % interval, over the cases where both measures are defined.

    Returns:
        Text; empty where fewer than two cases are defined.
    """
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return ""
    mean = bootstrap_mean(values, generator=np.random.default_rng(0))
    return f"{mean.value:+.3f} ({mean.low:+.3f} to {mean.high:+.3f})"
