"""``adumbra evaluate``: predictions against the truth, case by case, and a summary."""

import csv
import io
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.table import Table as Grating

from adumbra.cli.options import DEFAULT_OUTPUT, OK, PARTIAL, RESEARCH_USE, Flag, OutputOptions
from adumbra.cli.pairing import Pairing, masks_in, paired
from adumbra.core.errors import GridMismatch, InputRejected, MissingInput, OutputRefused

if TYPE_CHECKING:
    import adumbra.evaluation.segmentation.comparison

Scores = dict[str, float]


def evaluate(
    *,
    pred: Path,
    truth: Path,
    target: Literal["lesion", "thrombus"] = "lesion",
    csv: Path | None = None,
    overwrite: Flag = False,
    manner: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Compare predicted masks with the truth: Dice, lesion-wise F1 and the other metrics of each case.

    Predictions and truths are paired by sub- and ses- in their names, or, one file each, as they are. A case that lacks
    its other half is listed, and the exit code is 3.

    Args:
        pred: What adumbra predict wrote, a folder of masks, or one mask.
        truth: An ISLES'22 or BIDS data set with its outlines, a folder of masks, or one mask.
        target: What was outlined.
        csv: Write the scores of each case to this file too.
        overwrite: Replace that file.
    """
    from adumbra.evaluation.segmentation.comparison import table

    pairing = paired(masks_in(pred, target=target), masks_in(truth, target=target, predicted=False))
    if not pairing.pairs:
        raise _nothing_in_common(pred, pairing)
    scored, failed = _scored(pairing, target, manner)
    result = table(scored)
    if csv is not None:
        _write_csv(csv, result, overwrite=overwrite)
    manner.answer(_plain(result, pairing, failed), _shown(result), *_gaps(pairing, failed), RESEARCH_USE)
    return PARTIAL if failed or pairing.without_truth or pairing.without_prediction else OK


def _nothing_in_common(pred: Path, pairing: Pairing) -> MissingInput:
    return MissingInput(
        pred.name,
        expected="a case that was both predicted and outlined",
        found=f"predicted: {_listed(pairing.without_truth)}; outlined: {_listed(pairing.without_prediction)}",
        do="name the files alike (sub-, ses-), or give one file on each side",
    )


def _listed(cases: tuple[str, ...]) -> str:
    return ", ".join(cases[:5]) + (f" and {len(cases) - 5} more" if len(cases) > 5 else "")


def _scored(pairing: Pairing, target: str, manner: OutputOptions) -> tuple[dict[str, Scores], dict[str, InputRejected]]:
    scored: dict[str, Scores] = {}
    failed: dict[str, InputRejected] = {}
    for case, (prediction, truth) in manner.watch().track(pairing.pairs.items(), what="Comparing"):
        try:
            scored[case] = _scores(prediction, truth, target)
        except InputRejected as error:
            failed[case] = error
    if not scored:
        raise next(iter(failed.values()))
    return scored, failed


def _scores(prediction: Path, truth: Path, target: str) -> Scores:
    from adumbra.cases.scan import read_mask
    from adumbra.evaluation.segmentation.comparison import scores

    (ours, _), (theirs, _) = read_mask(prediction, target), read_mask(truth, target)
    if not ours.grid.coincides(theirs.grid):
        apart = ours.grid.distance_mm(theirs.grid)
        raise GridMismatch(
            prediction.name,
            expected=f"the grid of {truth.name}, {theirs.grid.shape}",
            found=f"{ours.grid.shape}" + (f", {apart:.3g} mm apart" if ours.grid.shape == theirs.grid.shape else ""),
            do="compare on one grid: a mask that was resampled would be scored for the resampling too",
        )
    return scores(ours.data, theirs.data, ours.grid)


def _shown(result: "adumbra.evaluation.segmentation.comparison.Table") -> Grating:
    """A line per case; of a single case a line per metric, which fits any terminal."""
    lines = {**result.rows, **{name: _statistic(result, name) for name in ("mean", "median") if len(result.rows) > 1}}
    table = [
        ["Case", *lines],
        *([_heading(name), *(_figure(row[name]) for row in lines.values())] for name in result.summary),
    ]
    if len(result.rows) > 1:
        table = [list(column) for column in zip(*table, strict=True)]
    grating = Grating(title="Against the truth")
    for n, heading in enumerate(table[0]):
        grating.add_column(heading, justify="right" if n else "left", no_wrap=not n)
    for n, cells in enumerate(table[1:], start=1):
        grating.add_row(*cells, end_section=len(result.rows) > 1 and n == len(result.rows))
    return grating


def _statistic(result: "adumbra.evaluation.segmentation.comparison.Table", name: str) -> Scores:
    return {metric: getattr(summary, name) for metric, summary in result.summary.items()}


def _heading(name: str) -> str:
    from adumbra.evaluation.segmentation.registry import METRICS

    metric = METRICS[name]
    return f"{metric.label}, {metric.unit}" if metric.unit == "ml" else metric.label


def _figure(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _gaps(pairing: Pairing, failed: Mapping[str, InputRejected]) -> list[str]:
    lines = [f"Not compared: {error}" for error in failed.values()]
    lines += [f"No truth for: {case}" for case in pairing.without_truth]
    return lines + [f"No prediction for: {case}" for case in pairing.without_prediction]


def _plain(
    result: "adumbra.evaluation.segmentation.comparison.Table", pairing: Pairing, failed: Mapping[str, InputRejected]
) -> dict[str, object]:
    return {
        "cases": result.rows,
        "summary": {name: asdict(summary) for name, summary in result.summary.items()},
        "failed": {case: str(error) for case, error in failed.items()},
        "without_truth": pairing.without_truth,
        "without_prediction": pairing.without_prediction,
    }


def _write_csv(path: Path, result: "adumbra.evaluation.segmentation.comparison.Table", *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise OutputRefused(path.name, expected="a new file", found="one of that name", do="add --overwrite")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["case", *result.summary])
    writer.writerows([case, *(row[name] for name in result.summary)] for case, row in result.rows.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        file.write(text.getvalue())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
