"""The table of the study: each arm against none, by patient."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from adumbra.experiments.clot_arms.design import BASELINE
from adumbra.experiments.fusion_ablation.table import mean_difference
from adumbra.experiments.lesion_arms.rows import CaseScores, Row

MOST_FALSE_POSITIVES = 0.5
"""Largest mean number of false positives per case at which thresholds are chosen."""
COLUMNS: Mapping[str, str] = {
    "dice": "Dice, cases with a clot",
    "detected_strictly": "detected strictly",
    "false_positives": "false positives per case",
    "empty": "heads without a clot left empty",
}
"""Measures of the table, with their headings."""

CaseValues = Mapping[str, Mapping[str, float]]
"""Values by measure of ``COLUMNS``, by case; NaN where a measure is undefined."""


def table_lines(rows: Sequence[Row], preset: str) -> Iterator[str]:
    """The table in Markdown, line by line.

    Args:
        rows: Rows of one budget.
        preset: Preset of the held-out phantoms.
    """
    if not rows:
        yield "No arm has been trained yet."
        return
    budget = rows[0].budget
    yield f"### {preset}: {budget['measured']} held-out phantoms, after {budget['cpu_seconds']:.0f} CPU-seconds"
    yield ""
    titles = " | ".join(f"{title} | against {BASELINE}" for title in COLUMNS.values())
    yield f"| arm | seeds | steps | CPU s | {titles} |"
    yield "|---|---|---|---|" + "---|---|" * len(COLUMNS)
    values = {(row.arm, row.seed): chosen_values(row.measured[preset]) for row in rows}
    for arm in dict.fromkeys(row.arm for row in rows):
        yield f"| {' | '.join(_cells([row for row in rows if row.arm == arm], values))} |"


def _cells(rows: Sequence[Row], values: Mapping[tuple[str, int], CaseValues]) -> list[str]:
    """The cells of an arm: its cost, then each measure with its difference from the baseline."""
    arm = rows[0].arm
    seconds = [row.cpu_seconds for row in rows]
    cpu = "interrupted" if None in seconds else f"{np.mean([s for s in seconds if s is not None]):.0f}"
    cells = [arm, str(len(rows)), f"{np.mean([row.steps for row in rows]):.0f}", cpu]
    for measure in COLUMNS:
        by_seed = {row.seed: values[arm, row.seed][measure] for row in rows}
        defined = [v for by_case in by_seed.values() for v in by_case.values() if np.isfinite(v)]
        cells.append(f"{np.mean(defined):.3f}" if defined else "undefined")
        shared = [seed for seed in by_seed if (BASELINE, seed) in values]
        differences = [
            np.array([by_seed[seed][case] - value for case, value in values[BASELINE, seed][measure].items()])
            for seed in shared
        ]
        cells.append(mean_difference(np.mean(differences, axis=0)) if differences and arm != BASELINE else "")
    return cells


def chosen_values(scores: Mapping[str, CaseScores]) -> CaseValues:
    """The measures of each case at the thresholds that are chosen on the other cases.

    Chosen is the pair with the highest mean Dice over the cases with a clot, among those with at most
    ``MOST_FALSE_POSITIVES`` per case; where no pair has so few, the one with fewest.
    """
    cases, pairs = list(scores), list(next(iter(scores.values())))
    arrays = {n: _array(scores, n) for n in ("dice", "sensitivity", "detected_strictly", "false_positives")}
    has_clot = np.isfinite(arrays["sensitivity"][:, 0])
    dice = np.where(has_clot[:, None], arrays["dice"], np.nan)
    result: dict[str, dict[str, float]] = {measure: {} for measure in COLUMNS}
    for number, case in enumerate(cases):
        others = np.arange(len(cases)) != number
        at = _chosen(dice[others & has_clot], arrays["false_positives"][others]) if others.any() else len(pairs) // 2
        false_positives = float(arrays["false_positives"][number, at])
        result["dice"][case] = float(dice[number, at])
        result["detected_strictly"][case] = float(arrays["detected_strictly"][number, at])
        result["false_positives"][case] = false_positives
        result["empty"][case] = np.nan if has_clot[number] else float(false_positives == 0)
    return result


def _chosen(dice: np.ndarray, false_positives: np.ndarray) -> int:
    """The index of the pair of thresholds, from (cases, pairs)."""
    each = false_positives.mean(axis=0)
    mean_dice = np.nan_to_num(dice).mean(axis=0) if len(dice) else np.zeros(len(each))
    return int(np.argmax(np.where(each <= max(MOST_FALSE_POSITIVES, float(each.min())), mean_dice, -1.0)))


def _array(scores: Mapping[str, CaseScores], measure: str) -> np.ndarray:
    values = [[row[measure] for row in by_pair.values()] for by_pair in scores.values()]
    return np.array([[np.nan if v is None else v for v in row] for row in values], dtype=float)
