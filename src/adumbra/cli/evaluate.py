"""``adumbra evaluate``: the metrics of each predicted mask against the ground truth, and a summary."""

import csv as csv_format
import io
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table as RichTable

from adumbra.cli.options import DEFAULT_OUTPUT, OK, PARTIAL, RESEARCH_USE, Flag, OutputOptions
from adumbra.cli.pairing import Pairing, find_masks, pair_masks
from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import GridMismatch, InputRejected, MissingInput, OutputRefused
from adumbra.core.options import TrainedTarget

if TYPE_CHECKING:
    from adumbra.core.types import Target
    from adumbra.evaluation.segmentation.comparison import Table

Scores = dict[str, float]


def evaluate(
    *,
    pred: Path,
    truth: Path,
    target: TrainedTarget = "lesion",
    csv: Path | None = None,
    overwrite: Flag = False,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Compare predicted masks with the ground truth: Dice, lesion-wise F1 and the other metrics of each case.

    Predictions and masks are paired by the sub- and ses- in their names. One file on each side is a pair whatever its
    name. A case without a counterpart is listed, and the exit code is 3.

    Args:
        pred: The output of adumbra predict, a folder of masks, or one mask.
        truth: An ISLES'22 or BIDS data set with masks, a folder of masks, or one mask.
        target: The segmented target.
        csv: Also write the scores of each case to this file.
        overwrite: Replace an existing file.
    """
    from adumbra.evaluation.segmentation.comparison import table

    pairing = pair_masks(find_masks(pred, target=target), find_masks(truth, target=target, predicted=False))
    if not pairing.pairs:
        raise _no_pair(pred, pairing)
    scored, failed = _score_all(pairing, target, output)
    result = table(scored)
    if csv is not None:
        _write_csv(csv, result, overwrite=overwrite)
    json_result, problems = _json_result(result, pairing, failed), _problems(pairing, failed)
    output.print_result(json_result, _rich_table(result), *problems, RESEARCH_USE)
    return PARTIAL if failed or pairing.without_truth or pairing.without_prediction else OK


def _no_pair(pred: Path, pairing: Pairing) -> MissingInput:
    return MissingInput(
        pred.name,
        expected="a case with both a prediction and a ground truth",
        found=f"predictions: {_list(pairing.without_truth)}; ground truth: {_list(pairing.without_prediction)}",
        do="give both the same sub- and ses-, or give one file on each side",
    )


def _list(cases: tuple[str, ...]) -> str:
    return ", ".join(cases[:5]) + (f" and {len(cases) - 5} more" if len(cases) > 5 else "")


def _score_all(
    pairing: Pairing, target: TrainedTarget, output: OutputOptions
) -> tuple[dict[str, Scores], dict[str, InputRejected]]:
    """The scores of every pair, and the errors of those that could not be compared."""
    scored: dict[str, Scores] = {}
    failed: dict[str, InputRejected] = {}
    for case, (prediction, truth) in output.progress_display().track(pairing.pairs.items(), what="Comparing"):
        try:
            scored[case] = _score(prediction, truth, target)
        except InputRejected as error:
            failed[case] = error
    if not scored:
        raise next(iter(failed.values()))
    return scored, failed


def _score(prediction: Path, truth: Path, target: "Target") -> Scores:
    from adumbra.cases.scan import read_mask
    from adumbra.evaluation.segmentation.comparison import scores

    (predicted, _), (true, _) = read_mask(prediction, target), read_mask(truth, target)
    if not predicted.grid.coincides(true.grid):
        distance, shape = predicted.grid.distance_mm(true.grid), predicted.grid.shape
        raise GridMismatch(
            prediction.name,
            expected=f"the grid of {truth.name}, {true.grid.shape}",
            found=f"{shape}" + (f", {distance:.3g} mm apart" if shape == true.grid.shape else ""),
            do="write both on one grid: resampling a mask here would change its scores",
        )
    return scores(predicted.data, true.data, predicted.grid)


def _rich_table(result: "Table") -> RichTable:
    """One row for each case. A single case is printed with one row for each metric, which fits any terminal."""
    rows = {**result.rows, **{name: _statistic(result, name) for name in ("mean", "median") if len(result.rows) > 1}}
    cells = [
        ["Case", *rows],
        *([_heading(name), *(_number(row[name]) for row in rows.values())] for name in result.summary),
    ]
    if len(result.rows) > 1:
        cells = [list(column) for column in zip(*cells, strict=True)]
    table = RichTable(title="Comparison with the ground truth")
    for n, heading in enumerate(cells[0]):
        table.add_column(heading, justify="right" if n else "left", no_wrap=not n)
    for n, row in enumerate(cells[1:], start=1):
        table.add_row(*row, end_section=len(result.rows) > 1 and n == len(result.rows))
    return table


def _statistic(result: "Table", name: str) -> Scores:
    return {metric: getattr(summary, name) for metric, summary in result.summary.items()}


def _heading(name: str) -> str:
    from adumbra.evaluation.segmentation.registry import METRICS

    metric = METRICS[name]
    return f"{metric.label}, {metric.unit}" if metric.unit == "ml" else metric.label


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _problems(pairing: Pairing, failed: Mapping[str, InputRejected]) -> list[str]:
    lines = [f"Not compared: {error}" for error in failed.values()]
    lines += [f"No ground truth for: {case}" for case in pairing.without_truth]
    return lines + [f"No prediction for: {case}" for case in pairing.without_prediction]


def _json_result(result: "Table", pairing: Pairing, failed: Mapping[str, InputRejected]) -> dict[str, object]:
    return {
        "cases": result.rows,
        "summary": {name: asdict(summary) for name, summary in result.summary.items()},
        "failed": {case: str(error) for case, error in failed.items()},
        "without_truth": pairing.without_truth,
        "without_prediction": pairing.without_prediction,
    }


def _write_csv(path: Path, result: "Table", *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise OutputRefused(path.name, expected="a new file", found="one of that name", do="add --overwrite")
    text = io.StringIO()
    writer = csv_format.writer(text)
    writer.writerow(["case", *result.summary])
    writer.writerows([case, *(row[name] for name in result.summary)] for case, row in result.rows.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())
