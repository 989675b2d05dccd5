"""The pipeline of one case: load → preprocess → sample → summarise → interpret → write. Start reading here.

load         files -> Case, each scan on its own grid, units converted               adumbra.cases
preprocess   all scans on the grid of the reference modality, with a brain mask      adumbra.preprocessing
sample       posterior draws, one probability volume at a time                       adumbra.posterior
summarise    mean probability, entropies, variance; the volume of each draw          adumbra.uncertainty
interpret    volume and count with intervals; the most uncertain regions             adumbra.clinic
write        maps on the native grid, a manifest, an HTML page                       adumbra.report
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from adumbra.cases.registry import open_case
from adumbra.clinic.candidates import candidate_notes
from adumbra.clinic.findings import findings
from adumbra.clinic.interval_limits import limited_to_brain, within_brain
from adumbra.clinic.refinement import refinement_notes
from adumbra.core.case import Case
from adumbra.core.case_features import CaseFeatures
from adumbra.core.geometry.components import dilate
from adumbra.core.options import InferenceConfig, InputOptions
from adumbra.core.progress import Progress, quiet
from adumbra.core.provenance import StageTimer, run_record
from adumbra.core.references import citations
from adumbra.core.results import Curves, Estimate, Findings, Maps, Prediction, RunRecord, VolumeDraws
from adumbra.core.types import Mask, Modality, Target
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.evaluation.uncertainty.curves import curves
from adumbra.evaluation.uncertainty.quality import case_quality
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.networks.unet import UNet
from adumbra.posterior.refined import refinement_summary
from adumbra.posterior.second_look import with_decision
from adumbra.preprocessing.head_context import with_head_context
from adumbra.preprocessing.input_flags import input_flags
from adumbra.preprocessing.pipeline import align_case, reference_modality
from adumbra.report.prediction_files import refuse_earlier, with_stored, write_page, write_prediction
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.uncertainty.calibration.case_score import case_score
from adumbra.uncertainty.calibration.io import Calibration
from adumbra.uncertainty.case_features import MemberMasks, ProbabilitySum, case_features, width_shares
from adumbra.uncertainty.maps import summarise
from adumbra.uncertainty.regional import regional_uncertainty

MOST_DRAWS = 200
"""Largest number of draws with ``draws="auto"``."""


@dataclass(frozen=True, eq=False)
class PredictionOutcome:
    """The written files of a prediction, and its results.

    Attributes:
        case: Name of the case.
        maps: Paths of the written maps, by name.
        report: Path of the page.
        findings: Results on the page.
        scores: Measures against the ground truth, where it is known.
        prediction: The arrays: aligned case, maps, draws of the volume.
        warnings: What the reader of the result must know of the files and their preprocessing.
    """

    case: str
    maps: Mapping[str, Path]
    report: Path
    findings: Findings
    scores: Mapping[str, float] | None
    prediction: Prediction
    warnings: tuple[str, ...] = ()


def predict(
    source: str | Path | Mapping[Modality, Path],
    out: str | Path,
    *,
    target: Target = "lesion",
    config: InferenceConfig | None = None,
    inputs: InputOptions | None = None,
    overwrite: bool = False,
    command: str = "",
    progress: Progress = quiet,
) -> PredictionOutcome:
    """Segments a target in one case with its uncertainty, and writes maps, manifest and page.

    Args:
        source: A folder, an image, a manifest, or files by modality; see ``cases.registry.open_case``.
        out: Folder of the results, a BIDS derivative.
        target: The target to segment.
        config: Weights, posterior, draws, seed, thresholds, calibration, device.
        inputs: How the files are read.
        overwrite: Replace the results of an earlier run.
        command: Command line, for the manifest.
        progress: Shows the progress of registrations and draws.

    Returns:
        The written files, the findings, and the arrays behind them.

    Raises:
        InputRejected: The case cannot be used; the error says why and what to do.
        WeightsRejected: Weights or calibration cannot be used, do not know the target, or do not belong together.
        OutputRefused: Results exist already, or cannot be written.
    """
    timer, config, inputs, out = StageTimer(), config or InferenceConfig(), inputs or InputOptions(), Path(out)
    with timer.at("load"):
        model = load_model(target, config)
        case = open_case(
            source, row=inputs.row, columns=inputs.columns, nan_to_zero=inputs.nan_to_zero, masks=inputs.masks,
            b_value=inputs.b_value, adc_unit=inputs.adc_unit,
        )  # fmt: skip
        refuse_earlier(out, case.name, target, overwrite=overwrite)
    prediction = predict_case(case, model, timer=timer, progress=progress)
    record = run_of(prediction, model, command=command, timer=timer)
    reference = reference_modality(case, target)
    written = write_prediction(prediction, record, out, reference=reference, overwrite=overwrite)
    page = write_page(with_stored({target: (prediction, record)}, out, case.name), out)
    warnings = prediction.case.warnings
    return PredictionOutcome(
        case.name, written.maps, page, prediction.findings, prediction.scores, prediction, warnings
    )


def predict_case(
    case: Case, model: SegmentationModel, *, timer: StageTimer | None = None, progress: Progress = quiet
) -> Prediction:
    """From a loaded case to its results, without touching a file: preprocess, sample, summarise, interpret.

    Args:
        case: As ``cases.registry.open_case`` gives it.
        model: As ``segmentation_model.load_model`` gives it.
        timer: Adds the seconds of each stage.
        progress: Shows the progress of registrations and draws.

    Raises:
        InputRejected: The case cannot be used; the error says why and what to do.
    """
    timer, config = timer or StageTimer(), model.config
    most, standard_error = (MOST_DRAWS, config.standard_error) if config.draws == "auto" else (config.draws, 0.0)
    threshold, high_threshold = model.thresholds
    with timer.at("preprocess"):
        aligned = model.align(case, progress=progress)
        flags = input_flags(aligned, target=model.target, modalities=model.modalities, b_range=model.b_range)
        aligned = aligned.updated(*flags)
        grid, region = aligned.grid, analysed_region(aligned)
        network_cases = model.network_cases(aligned)
    with timer.at("sample and summarise"):
        prepared = model.prepare(network_cases, grid, within=region)
        refined = model.refine(prepared, aligned, within=region)
        decided = model.decide(refined or prepared, aligned, within=region)
        probability = ProbabilitySum(region)
        volumes = probability.passing(model.draws(refined or prepared, decided, most))
        if model.calibration is not None:
            volumes = (model.calibration.apply(volume) for volume in volumes)
        draw_masks = MemberMasks(model.member_count)
        maps, volume_draws = summarise(
            progress.track(volumes, what="Sampling the posterior", total=most),
            target=model.target,
            grid=grid,
            threshold=threshold,
            high_threshold=high_threshold,
            within=region,
            standard_error=standard_error,
            draw_masks=draw_masks,
        )
        maps = with_decision(maps, decided)
        attention = prepared.attention_maps()
    with timer.at("interpret"):
        regional = regional_uncertainty(maps, volume_draws, draw_masks)
        network_threshold, network_high = model.network_thresholds
        features = case_features(
            volume_draws, draw_masks, probability, grid=grid, brain=aligned.masks["brain"].data,
            threshold=network_threshold, high_threshold=network_high,
        )  # fmt: skip
        interval, notes = calibrated_interval(features, model.calibration)
        results = findings(
            maps, volume_draws, brain=aligned.masks["brain"].data, regional=regional, calibrated_interval=interval
        )
        results = limited_to_brain(results, brain_ml=features.brain_ml)
        calibrate = None if model.calibration is None else model.calibration.apply
        refinement = refinement_summary(refined, maps, within=region, calibrate=calibrate)
        candidates = None if decided is None else decided.decision
        notes = (*results.notes, *notes, *refinement_notes(refinement), *candidate_notes(candidates))
        results = replace(results, notes=(*_simulated_note(aligned), *notes), candidates=candidates)
        results = _with_width_and_score(results, features, model)
    with timer.at("evaluate"):
        measures, lines = _evaluate(aligned, maps, volume_draws, results)
    aligned = replace(aligned, provenance=next(iter(network_cases.values())).provenance)
    return Prediction(
        aligned, maps, volume_draws, results, measures, lines, attention, features, refinement, draw_masks.packed()
    )


def analysed_region(case: Case) -> Mask:
    """The brain and a margin around it."""
    return dilate(case.masks["brain"].data, case.grid, by_mm=BEYOND_BRAIN_MM)


def _simulated_note(case: Case) -> tuple[str, ...]:
    """The note of a result that is not that of a patient."""
    return ("The images are simulated: a phantom, not a patient.",) if case.simulated else ()


def _evaluate(
    case: Case, maps: Maps, draws: VolumeDraws, results: Findings
) -> tuple[Mapping[str, float] | None, Curves | None]:
    """Measures of the mask and of its uncertainty, where the ground truth is known."""
    truth = case.truth(maps.target)
    if truth is None:
        return None, None
    lines = curves(case_quality(maps, draws, truth.data, case.masks["brain"].data, results.volume_ml))
    return scores(maps.mask, truth.data, maps.grid), lines


def _with_width_and_score(results: Findings, features: CaseFeatures, model: SegmentationModel) -> Findings:
    """The findings with the sources of the interval's width, and with the case score."""
    noisy = any(network.network.logit_noise is not None for network in model.networks)
    width = width_shares(results.volume_ml, features, within_source="annotators" if noisy else "draws")
    calibration = None if model.calibration is None else model.calibration.score
    return replace(results, width=width, score=case_score(features, calibration))


def calibrated_interval(
    features: CaseFeatures, calibration: Calibration | None
) -> tuple[Estimate | None, tuple[str, ...]]:
    """The calibrated interval of the volume, from 0 to at most the volume of the brain, and its notes.

    Returns:
        None where there is no calibration of the volume, or one for another number of draws.
    """
    if calibration is None or calibration.volume is None:
        return None, ()
    if calibration.volume.draws != len(features.draw_ml):
        needed = calibration.volume.draws
        return None, (f"The interval is that of the draws. The calibrated interval is valid for {needed} draws only.",)
    simulated = calibration.cases and all("phantom" in name for name in calibration.cases)
    notes = ("The interval was calibrated on simulated strokes (phantoms), not on patients.",) if simulated else ()
    return within_brain(calibration.volume.of_case(features), brain_ml=features.brain_ml), notes


def run_of(prediction: Prediction, model: SegmentationModel, *, command: str, timer: StageTimer) -> RunRecord:
    """The manifest of a prediction."""
    config, card = model.config, model.networks[0].card
    options = {
        "target": model.target,
        "posterior": model.posterior_name,
        "state": model.posterior.state,
        "draws": prediction.maps.draws,
        "threshold": prediction.maps.threshold,
        "high_threshold": prediction.maps.high_threshold,
        "registration": config.registration,
        "device": config.compute.device,
        "calibration": None if model.calibration is None else model.calibration.as_json(features=False),
    }
    methods = (align_case, input_flags, UNet, *model.posterior.methods, summarise, regional_uncertainty)
    if model.context:
        methods = (*methods, with_head_context)
    if model.refinement is not None and prediction.refinement is not None:
        options["refinement"] = model.refinement.as_json(prediction.refinement)
        methods = (*methods, *model.refinement.methods)
    if model.second_look is not None and (decision := prediction.findings.candidates) is not None:
        options["second_look"] = model.second_look.as_json(decision)
        methods = (*methods, *model.second_look.methods)
    record = run_record(
        prediction.case,
        command=command,
        seed=config.seed,
        weights={"name": card.name, "sha256": card.sha256},
        options=options,
        timer=timer,
        references=citations(*methods, case_features, *_calibration_methods(model.calibration), scores),
    )
    return replace(record, results=_plain_results(prediction.findings))


def _plain_results(results: Findings) -> dict[str, object]:
    """Volume, sources of the width and case score for the manifest."""
    parts = {"volume_ml": results.volume_ml, "interval_width": results.width, "case_score": results.score}
    return {name: None if part is None else asdict(part) for name, part in parts.items()}


def _calibration_methods(calibration: Calibration | None) -> tuple[object, ...]:
    """The classes whose papers a manifest names."""
    if calibration is None:
        return ()
    parts = (calibration.probability, calibration.volume, calibration.score)
    return tuple(type(part) for part in parts if part is not None)
