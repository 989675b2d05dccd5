"""``adumbra predict``: segments one case and writes its maps and its report."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from adumbra.cli.clinical import NO_CLINICAL_ARGUMENTS, ClinicalArguments
from adumbra.cli.options import (
    DEFAULT_OUTPUT,
    OK,
    Count,
    Draws,
    Flag,
    NonNegative,
    OutputOptions,
    UsageError,
    command_line,
    unwrap_docstring,
)
from adumbra.cli.outcome import assessment_text, json_assessment
from adumbra.cli.refinement import NO_REFINEMENT, RefinementArguments
from adumbra.core.options import ComputeConfig, DeviceName, InferenceConfig, InputOptions, PredictedTarget


@Parameter(name="*", group=Group("Scans by name, in place of CASE", sort_key=1))
@unwrap_docstring
@dataclass(frozen=True)
class ScanFiles:
    """The scans of one case, one file for each modality.

    Attributes:
        dwi: Diffusion-weighted image (trace).
        adc: Apparent diffusion coefficient (ADC). Its unit is recognised.
        b0: Image without diffusion weighting.
        flair: Fluid-attenuated inversion recovery (FLAIR).
        swi: Susceptibility-weighted magnitude (SWI, SWAN).
        phase: Phase of the susceptibility-weighted image.
        tof: Time-of-flight angiography (TOF).
    """

    dwi: Path | None = None
    adc: Path | None = None
    b0: Path | None = None
    flair: Path | None = None
    swi: Path | None = None
    phase: Path | None = None
    tof: Path | None = None

    def given(self) -> dict[str, Path]:
        """The files that were given, by modality."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: path for name, path in named if path is not None}


@Parameter(name="*", group=Group("Input", sort_key=2))
@unwrap_docstring
@dataclass(frozen=True)
class InputArguments:
    """What accompanies the scans, and how their files are interpreted.

    Attributes:
        row: Row of a CSV manifest, by the id of the case.
        column: Column of a manifest under another name, as in swi=SWAN. The option may be repeated.
        brain_mask: Brain mask to use in place of the computed one.
        truth: Expert mask of the target, of the lesion where several are segmented. The report shows the scores of the
            prediction against it.
        b_value: b-value of the DWI in s/mm², where no sidecar states it.
        adc_unit: Unit of the ADC, such as 1e-6mm2/s, where its values are ambiguous.
        nan_to_zero: Accept NaN voxels. They are set to zero and treated as not measured.
        registration: Align the scans by rigid registration where that improves the match.
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
        """The manifest's column of each renamed modality; None where there is none."""
        if not self.column:
            return None
        pairs = [text.partition("=") for text in self.column]
        if not all(name and column for name, _, column in pairs):
            raise UsageError("--column takes MODALITY=NAME, such as --column swi=SWAN")
        return {name: column for name, _, column in pairs}

    def masks(self, target: str) -> dict[str, Path]:
        """The masks that were given, by the structure that they show."""
        named = {"brain": self.brain_mask, target: self.truth}
        return {name: path for name, path in named.items() if path is not None}


NO_SCANS, DEFAULT_INPUT = ScanFiles(), InputArguments()


def predict(
    case: Path | None = None,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    target: Annotated[list[PredictedTarget] | None, Parameter(negative=())] = None,
    posterior: Annotated[str, Parameter(show_default=False)] = "",
    draws: Draws = 20,
    standard_error: Annotated[float, Parameter(validator=Number(gt=0))] = 0.01,
    seed: NonNegative = 0,
    threshold: Annotated[float | None, Parameter(validator=Number(gt=0, lt=1))] = None,
    high_threshold: Annotated[float | None, Parameter(validator=Number(gte=0, lt=1))] = None,
    weights: Annotated[list[str] | None, Parameter(negative=())] = None,
    calibration: Path | None = None,
    no_calibration: Flag = False,
    second_look: Annotated[list[str] | None, Parameter(negative=())] = None,
    device: DeviceName = "auto",
    threads: Count | None = None,
    overwrite: Flag = False,
    scans: ScanFiles = NO_SCANS,
    inputs: InputArguments = DEFAULT_INPUT,
    clinical: ClinicalArguments = NO_CLINICAL_ARGUMENTS,
    refinement: RefinementArguments = NO_REFINEMENT,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Segment the targets of one case with their uncertainty, and write the maps and one clinical report.

    Args:
        case: A folder of NIfTI files, an ISLES'22 or BIDS subject, or a CSV manifest (with --row).
        out: Folder to write to.
        target: A target to segment. Repeat it for several. By default all targets that the sequences show are
            segmented; with an option that belongs to the networks of one target, such as --weights or --threshold, it
            is the lesion. Hypoperfusion is estimated from the lesion, which is segmented with it, and from the
            thrombus where it is segmented too.
        posterior: The posterior to draw from, such as dropout, laplace, tta, deterministic or heteroscedastic. By
            default it is the one that the weights were trained for; the lesion has a deep ensemble. A posterior that
            is named draws from one released network.
        draws: Number of posterior draws. auto draws until --standard-error is reached, at most 200.
        standard_error: Largest standard error of the mean probability in uncertain voxels, for --draws auto.
        seed: Seed of every random choice. The same seed writes the same files.
        threshold: Probability from which a voxel belongs to the mask. The model card states the default.
        high_threshold: Probability that each component of the mask must reach (hysteresis). 0 keeps all components. The
            model card states the default.
        weights: Released weights by name, or a safetensors file. Repeat it for an ensemble. The target's own weights
            are the default.
        calibration: The output of adumbra calibrate. By default the file beside the weights is used, where there is
            one.
        no_calibration: Use the probabilities of the network without calibration.
        second_look: Weights that look at each candidate of a clot again, a safetensors file. Repeat it for several.
            none leaves the second look out. By default the file beside the weights is used, where there is one.
        device: The device that runs the network.
        threads: Number of processor threads; all by default.
        overwrite: Replace existing results.
    """
    if calibration is not None and no_calibration:
        raise UsageError("give either --calibration FILE or --no-calibration")
    source, columns = source_of(case, scans), inputs.columns()
    of_one_target = (weights, posterior or None, threshold, high_threshold, calibration, second_look, refinement.refine)
    targets = chosen_targets(target, narrowed=any(option is not None for option in of_one_target))
    from adumbra.assessment import assess

    assessment = assess(
        source,  # type: ignore[arg-type]  # The keys are modalities; importing their type would slow --help down.
        out,
        targets=targets,
        config=InferenceConfig(
            weights=weights,
            posterior=posterior,
            draws=draws,
            standard_error=standard_error,
            seed=seed,
            threshold=threshold,
            high_threshold=high_threshold,
            calibration="none" if no_calibration else calibration or "beside",
            registration="auto" if inputs.registration else "never",
            compute=ComputeConfig(device=device, threads=threads),
            refinement=refinement.config(),
            second_look="beside" if second_look is None else "none" if second_look == ["none"] else second_look,
        ),
        inputs=InputOptions(
            masks=inputs.masks(targets[0] if targets is not None and len(targets) == 1 else "lesion"),
            row=inputs.row,
            columns=columns,
            b_value=inputs.b_value,
            adc_unit=inputs.adc_unit,
            nan_to_zero=inputs.nan_to_zero,
        ),
        facts=clinical.facts(),
        overwrite=overwrite,
        command=command_line(sys.argv[1:]),
        progress=output.progress_display(),
    )
    output.print_warnings(assessment.warnings)
    output.print_result(json_assessment(assessment), assessment_text(assessment))
    return OK


def chosen_targets(named: list[PredictedTarget] | None, *, narrowed: bool) -> list[PredictedTarget] | None:
    """The targets of a prediction; None is all that the sequences show.

    Args:
        named: The targets that were named.
        narrowed: Whether an option was given that belongs to the networks of one target.

    Raises:
        UsageError: Several targets were named beside such an option.
    """
    if narrowed and named is not None and len(set(named)) > 1:
        raise UsageError(
            "--weights, --posterior, --threshold, --high-threshold, --calibration, --second-look and --refine belong "
            "to one target: give one --target beside them"
        )
    return ["lesion"] if narrowed and not named else named or None


def source_of(case: Path | None, scans: ScanFiles) -> Path | dict[str, Path]:
    """The input of a prediction: the case, or its scans by modality.

    Raises:
        UsageError: Both were given, or neither.
    """
    files = scans.given()
    if (case is None) == (not files):
        raise UsageError("give either CASE or the scans by name (--dwi FILE --adc FILE --flair FILE ...)")
    return case if case is not None else files
