"""``adumbra quality``: how good the uncertainty of predictions is, against the truth."""

from pathlib import Path
from typing import Literal

from rich.table import Table as Grating

from adumbra.cli.options import DEFAULT_OUTPUT, OK, RESEARCH_USE, Flag, From0, OutputOptions
from adumbra.cli.pairing import masks_in


def evaluate_uncertainty(
    *,
    pred: Path,
    truth: Path | None = None,
    target: Literal["lesion", "thrombus"] = "lesion",
    uncertainty: Literal["entropy", "aleatoric", "epistemic", "variance"] = "entropy",
    out: Path | None = None,
    seed: From0 = 0,
    overwrite: Flag = False,
    manner: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Judge the uncertainty of predictions: is it calibrated, and are the errors where the map says?

    Writes a page with reliability, risk-coverage and retention curves, and every number as JSON beside it.

    Args:
        pred: What adumbra predict wrote.
        truth: Outlines, as adumbra evaluate takes them; by default those that the cases came with.
        target: What was outlined.
        uncertainty: Which map it is.
        out: The page; quality.html in --pred by default.
        seed: Of the resamples behind the intervals.
        overwrite: Replace an earlier page.
    """
    from adumbra.evaluation.uncertainty.quality import plain_table
    from adumbra.experiments.evaluate_uncertainty import evaluate_uncertainty
    from adumbra.experiments.evaluate_uncertainty_page import sentences, write_quality_page

    truths = None if truth is None else masks_in(truth, target=target, predicted=False)
    found = evaluate_uncertainty(pred, truths=truths, measure=uncertainty, seed=seed, progress=manner.watch())
    plain = {"uncertainty": uncertainty, **plain_table(found)}
    about = f"{len(found.cases)} case{'s' * (len(found.cases) > 1)} · uncertainty: {uncertainty}"
    page = write_quality_page(found, out or pred / "quality.html", about=about, plain=plain, overwrite=overwrite)
    told = {**plain, "page": page}
    manner.answer(told, _shown(found), *sentences(found), f"Page: {page}", RESEARCH_USE)
    return OK


def _shown(found: object) -> Grating:
    from adumbra.experiments.evaluate_uncertainty_page import NAMES, figure, interval

    grating = Grating(title="Uncertainty against the truth")
    for heading in ("Measure", "Mean", "95 % interval by patient", "Cases"):
        grating.add_column(heading, justify="left" if heading == "Measure" else "right")
    for name, text in NAMES.items():
        mean = found.means[name]  # type: ignore[attr-defined]  # a Quality; its import would cost --help its quickness
        grating.add_row(text, figure(mean.value), interval(mean), str(mean.cases))
    return grating
