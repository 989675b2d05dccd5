"""``adumbra evaluate-uncertainty``: the quality of the uncertainty maps, measured against the ground truth."""

from pathlib import Path
from typing import Literal

from rich.table import Table as RichTable

from adumbra.cli.options import DEFAULT_OUTPUT, OK, RESEARCH_USE, Flag, NonNegative, OutputOptions
from adumbra.cli.pairing import find_masks
from adumbra.core.options import TrainedTarget


def evaluate_uncertainty(
    *,
    pred: Path,
    truth: Path | None = None,
    target: TrainedTarget = "lesion",
    uncertainty: Literal["entropy", "aleatoric", "epistemic", "variance"] = "entropy",
    out: Path | None = None,
    seed: NonNegative = 0,
    overwrite: Flag = False,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Evaluate the uncertainty of predictions: calibration, and agreement between uncertainty and errors.

    Writes a page with reliability, risk-coverage and retention curves, and every number as JSON beside it.

    Args:
        pred: The output of adumbra predict.
        truth: Masks, as adumbra evaluate takes them. By default the masks of the predicted cases are used.
        target: The segmented target.
        uncertainty: The uncertainty map to evaluate.
        out: The page to write; quality.html in --pred by default.
        seed: Seed of the bootstrap resamples behind the intervals.
        overwrite: Replace an existing page.
    """
    from adumbra.evaluation.uncertainty.quality import plain_table
    from adumbra.experiments.evaluate_uncertainty import evaluate_uncertainty
    from adumbra.experiments.evaluate_uncertainty_page import sentences, write_uncertainty_quality_page

    truths = None if truth is None else find_masks(truth, target=target, predicted=False)
    progress = output.progress_display()
    quality = evaluate_uncertainty(
        pred, target=target, truths=truths, measure=uncertainty, seed=seed, progress=progress
    )
    plain = {"uncertainty": uncertainty, **plain_table(quality)}
    subtitle = f"{len(quality.cases)} case{'s' * (len(quality.cases) > 1)} · uncertainty: {uncertainty}"
    path = out or pred / "quality.html"
    page = write_uncertainty_quality_page(quality, path, subtitle=subtitle, plain=plain, overwrite=overwrite)
    result = {**plain, "page": page}
    output.print_result(result, _rich_table(quality), *sentences(quality), f"Page: {page}", RESEARCH_USE)
    return OK


def _rich_table(quality: object) -> RichTable:
    from adumbra.experiments.evaluate_uncertainty_page import NAMES, figure, interval

    table = RichTable(title="Uncertainty and the ground truth")
    for heading in ("Measure", "Mean", "95 % interval by patient", "Cases"):
        table.add_column(heading, justify="left" if heading == "Measure" else "right")
    for name, text in NAMES.items():
        mean = quality.means[name]  # type: ignore[attr-defined]  # importing the class would slow --help down
        table.add_row(text, figure(mean.value), interval(mean), str(mean.cases))
    return table
