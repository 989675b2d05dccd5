"""The tables of the study: one for each budget and preset of held-out phantoms."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import UnreadableFile
from adumbra.experiments.fusion_ablation.table import mean_difference
from adumbra.experiments.lesion_arms.design import BASELINE
from adumbra.experiments.lesion_arms.rows import Row, budget_key, read_rows

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
"""The lines of the page between which the tables stand."""

USUAL = "0.5"
COLUMNS: Mapping[str, str] = {
    "dice": "Dice",
    "lesion_f1": "lesion-wise F1",
    "sensitivity": "sensitivity",
    "precision": "precision",
    "false_positives": "false-positive lesions",
}
"""Measures of the table, with their headings."""


def write_tables(rows: Path, page: Path) -> None:
    """Replaces the tables of a page.

    Raises:
        UnreadableFile: The page has no place for them.
    """
    text = page.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UnreadableFile(
            page.name, expected=f"the lines {BEGIN} and {END}", found="not both", do="add them where the tables belong"
        )
    lines = "\n".join(table_lines(read_rows(rows)))
    write_atomically(page, f"{before}{begin}\n\n{lines}\n\n{end}{after}".encode())


def table_lines(rows: Sequence[Row]) -> Iterator[str]:
    """The tables of all rows in Markdown, line by line."""
    if not rows:
        yield "No arm has been trained yet."
    for key in dict.fromkeys(budget_key(row.budget) for row in rows):
        group = [row for row in rows if budget_key(row.budget) == key]
        for number, preset in enumerate(group[0].measured):
            yield from ([""] if number or key != budget_key(rows[0].budget) else [])
            yield from _preset_lines(group, preset)


def _preset_lines(group: Sequence[Row], preset: str) -> Iterator[str]:
    budget = group[0].budget
    size = f"{budget['steps']} steps" if budget["steps"] else f"{budget['cpu_seconds']:.0f} CPU-seconds"
    cases = len(group[0].measured[preset])
    start = f" from {budget['initial']}" if budget["initial"] else ""
    yield f"### {preset}: {cases} held-out phantoms, after {size}{start} on {budget['cases']} others"
    yield ""
    base = BASELINE if any(row.arm == BASELINE for row in group) else group[0].arm
    paired = " | ".join(f"{title} | against {base}" for title in COLUMNS.values())
    yield f"| arm | seeds | steps | CPU s | parameters | {paired} | Dice, own threshold | against {base} |"
    yield "|---|---|---|---|---|" + "---|---|" * (len(COLUMNS) + 1)
    for arm in dict.fromkeys(row.arm for row in group):
        yield f"| {' | '.join(_cells(group, arm, preset, base_arm=base))} |"


def _cells(group: Sequence[Row], arm: str, preset: str, *, base_arm: str) -> list[str]:
    """The cells of an arm: its cost, then each measure with its difference from that of another arm."""
    own, base = ({row.seed: row for row in group if row.arm == name} for name in (arm, base_arm))
    seconds = [row.cpu_seconds for row in own.values()]
    cpu = "interrupted" if None in seconds else f"{np.mean([s for s in seconds if s is not None]):.0f}"
    steps, parameters = (np.mean([getattr(row, name) for row in own.values()]) for name in ("steps", "parameters"))
    cells = [arm, str(len(own)), f"{steps:.0f}", cpu, f"{parameters / 1e6:.2f} million"]
    for measure in (*COLUMNS, "own threshold"):
        values = {seed: case_values(row, preset, measure) for seed, row in own.items()}
        cells.append(_mean_text([value for by_case in values.values() for value in by_case.values()]))
        shared = [seed for seed in own if seed in base]
        differences = [_paired(values[seed], case_values(base[seed], preset, measure)) for seed in shared]
        cells.append(mean_difference(np.mean(differences, axis=0)) if differences and arm != base_arm else "")
    return cells


def _mean_text(values: Sequence[float]) -> str:
    """The mean over cases and seeds in which a measure is defined."""
    defined = [value for value in values if np.isfinite(value)]
    return f"{np.mean(defined):.3f}" if defined else "undefined"


def case_values(row: Row, preset: str, measure: str) -> dict[str, float]:
    """A measure of each case, by name; NaN where it is undefined.

    Args:
        row: The arm.
        preset: Preset of the held-out phantoms.
        measure: A name of ``COLUMNS``, at the threshold 0.5; ``"own threshold"`` is the Dice of each case at the
            threshold that has the highest mean Dice of the other cases.
    """
    scores = row.measured[preset]
    if measure == "own threshold":
        return _dice_at_threshold_of_others(row, preset)
    values = {case: by_threshold[USUAL][measure] for case, by_threshold in scores.items()}
    return {case: np.nan if value is None else value for case, value in values.items()}


def _dice_at_threshold_of_others(row: Row, preset: str) -> dict[str, float]:
    scores = row.measured[preset]
    thresholds = list(next(iter(scores.values())))
    dice = np.array([[float(scores[case][t]["dice"] or 0.0) for t in thresholds] for case in scores])
    of_others = (dice.sum(axis=0) - dice).argmax(axis=1)
    return {case: float(own[at]) for case, own, at in zip(scores, dice, of_others, strict=True)}


def _paired(values: Mapping[str, float], base: Mapping[str, float]) -> np.ndarray:
    """The difference of each case, in the order of ``base``; NaN where either is undefined."""
    return np.array([values.get(case, np.nan) - value for case, value in base.items()])
