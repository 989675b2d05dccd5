"""``adumbra predict``: one case in, its maps and its report out."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from adumbra.cli.options import (
    DEFAULT_OUTPUT,
    OK,
    RESEARCH_USE,
    Count,
    Device,
    Draws,
    Flag,
    From0,
    OutputOptions,
    UsageError,
    command_line,
)

if TYPE_CHECKING:
    import adumbra.pipeline


@Parameter(name="*", group=Group("Scans by name, in place of CASE", sort_key=1))
@dataclass(frozen=True)
class ScanFiles:
    """The scans of one case, given by name.

    Attributes:
        dwi: Diffusion-weighted image (trace).
        adc: Apparent diffusion coefficient; any unit, it is recognised.
        b0: Image without diffusion weighting.
        flair: FLAIR.
        swi: Susceptibility-weighted magnitude (SWI, SWAN).
        phase: Its phase.
        tof: Time-of-flight angiography.
    """

    dwi: Path | None = None
    adc: Path | None = None
    b0: Path | None = None
    flair: Path | None = None
    swi: Path | None = None
    phase: Path | None = None
    tof: Path | None = None

    def given(self) -> dict[str, Path]:
        """The files that were named, by modality."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: path for name, path in named if path is not None}


@Parameter(name="*", group=Group("Prediction", sort_key=2))
@dataclass(frozen=True)
class Prediction:
    """How the files are to be read.

    Attributes:
        row: The row of a CSV manifest: the case's id.
        column: A manifest's column under another name, as swi=SWAN; may be repeated.
        brain_mask: Brain mask to use in place of the one that is found.
        truth: Expert mask of the target: scores are computed and shown beside the prediction.
        b_value: Of the DWI, in s/mm², where no side-car tells it.
        adc_unit: Of the ADC, such as 1e-6mm2/s, where its values do not tell it.
        nan_to_zero: Accept NaN voxels: they become zero and are treated as not measured.
        registration: Bring scans onto each other by rigid registration where that helps.
    """

    row: str | None = None
    column: Annotated[list[str] | None, Parameter(negative=())] = None
    brain_mask: Path | None = None
    truth: Path | None = None
    b_value: Annotated[float | None, Parameter(validator=Number(gt=0))] = None
    adc_unit: str | None = None
    nan_to_zero: Flag = False
    registration: Annotated[bool, Parameter(negative="--no-registration")] = True

    def columns(self) -> dict[str, str] | None:
        """The manifest's column of each modality that was renamed; None where none was."""
        if not self.column:
            return None
        pairs = [text.partition("=") for text in self.column]
        if not all(name and column for name, _, column in pairs):
            raise UsageError("--column takes MODALITY=NAME, such as --column swi=SWAN")
        return {name: column for name, _, column in pairs}

    def masks(self, target: str) -> dict[str, Path]:
        """The masks that were named, by what they outline."""
        named = {"brain": self.brain_mask, target: self.truth}
        return {name: path for name, path in named.items() if path is not None}


NO_SCANS, DEFAULT_INPUT = ScanFiles(), Prediction()


def predict(
    case: Path | None = None,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    target: Literal["lesion", "thrombus"] = "lesion",
    posterior: str = "",
    draws: Draws = 20,
    standard_error: Annotated[float, Parameter(validator=Number(gt=0))] = 0.01,
    seed: From0 = 0,
    threshold: Annotated[float | None, Parameter(validator=Number(gt=0, lt=1))] = None,
    high_threshold: Annotated[float | None, Parameter(validator=Number(gte=0, lt=1))] = None,
    weights: Annotated[list[str] | None, Parameter(negative=())] = None,
    calibration: Path | None = None,
    no_calibration: Flag = False,
    device: Device = "auto",
    threads: Count | None = None,
    overwrite: Flag = False,
    files: ScanFiles = NO_SCANS,
    reading: Prediction = DEFAULT_INPUT,
    manner: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Outline the lesion or the thrombus of one case, with its uncertainty, and write the maps and a report.

    Args:
        case: A folder of NIfTI, an ISLES'22 or BIDS subject, or a CSV manifest (with --row).
        out: Folder to write to.
        target: What to outline.
        posterior: What is drawn from, such as dropout, laplace or augmented; what the weights were made for by default.
        draws: Samples of the posterior; auto draws until --standard-error is reached, 200 at most.
        standard_error: Of the mean probability where there is doubt, for --draws auto.
        seed: Of every random choice: the same seed gives the same files.
        threshold: Probability from which a voxel belongs to the mask; the weights' card knows the usual one.
        high_threshold: Probability that each part of the mask must reach; 0 keeps all, the card knows the usual one.
        weights: Shipped weights by name, or a safetensors file; may be repeated for an ensemble. Those of the target by
            default.
        calibration: What adumbra calibrate wrote; by default the file beside the weights, where there is one.
        no_calibration: Take the probabilities as the network gives them.
        device: Where the network runs.
        threads: Processor threads to use; all by default.
        overwrite: Replace results that are there already.
    """
    if calibration is not None and no_calibration:
        raise UsageError("give either --calibration FILE or --no-calibration")
    source, columns = source_of(case, files), reading.columns()
    from adumbra import pipeline

    outcome = pipeline.predict(
        source,  # type: ignore[arg-type]  # the fields of Files are the modalities; naming their type imports NumPy
        out=out,
        target=target,
        posterior=posterior,
        draws=draws,
        standard_error=standard_error,
        seed=seed,
        threshold=threshold,
        high_threshold=high_threshold,
        weights=weights,
        calibration="none" if no_calibration else calibration or "beside",
        masks=reading.masks(target),
        row=reading.row,
        columns=columns,
        b_value=reading.b_value,
        adc_unit=reading.adc_unit,
        nan_to_zero=reading.nan_to_zero,
        registration="auto" if reading.registration else "never",
        overwrite=overwrite,
        device=device,
        threads=threads,
        command=command_line(sys.argv[1:]),
        progress=manner.watch(),
    )
    manner.answer(result_of(outcome), text_of(outcome))
    return OK


def source_of(case: Path | None, files: ScanFiles) -> Path | Mapping[str, Path]:
    """What is to be opened: the case, or the files by modality.

    Raises:
        UsageError: Both were given, or neither.
    """
    named = files.given()
    if (case is None) == (not named):
        raise UsageError("give either CASE or the scans by name (--dwi FILE --adc FILE --flair FILE ...)")
    return case if case is not None else named


def result_of(outcome: "adumbra.pipeline.PredictionOutcome") -> dict[str, object]:
    """What ``--json`` says of a prediction."""
    found = outcome.findings
    interval = {"value": found.volume_ml.value, "low": found.volume_ml.low, "high": found.volume_ml.high}
    return {
        "case": outcome.case,
        "target": found.target,
        "volume_ml": {**interval, "level": found.volume_ml.level},
        "components": found.components.value,
        "doubtful_regions": len(found.regions),
        "scores": outcome.scores,
        "maps": dict(outcome.maps),
        "report": outcome.report,
        "notes": [*found.notes, RESEARCH_USE],
    }


def text_of(outcome: "adumbra.pipeline.PredictionOutcome") -> str:
    """What a person is told of a prediction, in a few lines."""
    volume = outcome.findings.volume_ml
    held = "of the draws" if volume.by == "draws" else "of such cases"
    interval = f"{volume.level:.0%} {held}: {volume.low:.2f} to {volume.high:.2f} ml"
    lines = [f"{outcome.case}: {outcome.findings.target} {volume.value:.2f} ml ({interval})"]
    if outcome.scores is not None:
        shown = {"dice": "Dice", "lesion_f1": "lesion-wise F1"}
        lines.append("Against the truth: " + ", ".join(f"{shown[k]} {outcome.scores[k]:.2f}" for k in shown))
    return "\n".join([*lines, *found_notes(outcome), f"Report: {outcome.report}", RESEARCH_USE])


def found_notes(outcome: "adumbra.pipeline.PredictionOutcome") -> list[str]:
    """The sentences that must stand beside the numbers, one a line."""
    return [f"Note: {note}" for note in outcome.findings.notes]
