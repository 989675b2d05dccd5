"""All targets of one case: predictions, the clinical summary that they give together, and one report.

``pipeline.predict`` segments one target. This module repeats it for every target that the sequences of a case allow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from adumbra.cases.facts import facts_beside
from adumbra.cases.registry import open_case
from adumbra.clinic.modality_evidence import WithheldProbabilities
from adumbra.clinic.rules.case_values import case_values
from adumbra.clinical_summary.build import clinical_summary
from adumbra.clinical_summary.place import placed
from adumbra.clinical_summary.worklists import Withholding
from adumbra.core.clinical_facts import NO_FACTS, ClinicalFacts
from adumbra.core.errors import MissingInput
from adumbra.core.options import InferenceConfig, InputOptions, PredictedTarget
from adumbra.core.progress import Progress, quiet
from adumbra.core.provenance import StageTimer, run_record
from adumbra.core.references import citations
from adumbra.core.results import Prediction, RunRecord
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Mask, Modality, Target
from adumbra.hypoperfusion.estimate import HypoperfusionEstimate, estimate_hypoperfusion, hours_since_onset
from adumbra.modality_change import withheld_probabilities
from adumbra.networks.perfusion import PerfusionNetwork, released_perfusion
from adumbra.pipeline import PredictionOutcome, analysed_region, predict_case, run_of
from adumbra.preprocessing.pipeline import reference_modality
from adumbra.report.bids import bids_name
from adumbra.report.prediction_files import clinic_name, refuse_earlier, with_stored, write_page, write_prediction
from adumbra.report.stored_predictions import StoredPrediction, read_cases, read_clinic
from adumbra.report.tmax_map import write_tmax
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.uncertainty.maps import summarise

ESTIMATED: Target = "hypoperfusion"
"""The target that is estimated from the predictions of the others."""


@dataclass(frozen=True, eq=False)
class Assessment:
    """The results of all targets of a case.

    Attributes:
        case: Name of the case.
        targets: The outcome of each target, in the order of ``core.targets``.
        clinic: The clinical summary, as plain values.
        report: Path of the page.
    """

    case: str
    targets: Mapping[Target, PredictionOutcome]
    clinic: Mapping[str, Any]
    report: Path

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of all targets, each once."""
        return tuple(dict.fromkeys(text for outcome in self.targets.values() for text in outcome.warnings))


def assess(
    source: str | Path | Mapping[Modality, Path],
    out: str | Path,
    *,
    targets: Sequence[Target] | None = None,
    config: InferenceConfig | None = None,
    inputs: InputOptions | None = None,
    facts: ClinicalFacts = NO_FACTS,
    overwrite: bool = False,
    command: str = "",
    progress: Progress = quiet,
) -> Assessment:
    """Segments the targets of one case with their uncertainty, and writes maps, clinical summary and one report.

    Args:
        source: A folder, an image, a manifest, or files by modality; see ``cases.registry.open_case``.
        out: Folder of the results, a BIDS derivative. Results of other targets of the case there join the report.
        targets: The targets; None takes all that have a released network and a scan that shows them.
        config: Settings of the prediction of every target.
        inputs: How the files are read.
        facts: What is known of the patient besides the images. What it lacks is taken from the row of a manifest or
            the participants file of a BIDS data set, and then from the earlier summary of the case in ``out``.
        overwrite: Replace the results of an earlier run.
        command: Command line, for the manifests.
        progress: Shows the progress of registrations and draws.

    Raises:
        InputRejected: The case or a fact cannot be used; the error says why and what to do.
        WeightsRejected: Weights or calibration cannot be used, or do not belong together.
        OutputRefused: Results exist already, or cannot be written.
    """
    config, inputs, out = config or InferenceConfig(), inputs or InputOptions(), Path(out)
    case_values(facts.known())  # what is given by hand is refused before anything is computed
    case = open_case(
        source, row=inputs.row, columns=inputs.columns, nan_to_zero=inputs.nan_to_zero, masks=inputs.masks,
        b_value=inputs.b_value, adc_unit=inputs.adc_unit,
    )  # fmt: skip
    beside, notes = facts_beside(source, case.name, row=inputs.row, columns=inputs.columns)
    earlier = ClinicalFacts.from_json(read_clinic(out / clinic_name(bids_name(case.name))).get("facts", {}))
    case, facts = case.updated(*notes), facts.completed_by(beside).completed_by(earlier)
    chosen = in_view(case.scans, case.name) if targets is None else tuple(dict.fromkeys(targets))
    if ESTIMATED in chosen and "lesion" not in chosen:
        chosen = ("lesion", *chosen)
    for target in chosen:
        reference_modality(case, target)
        refuse_earlier(out, case.name, target, overwrite=overwrite)
    new: dict[Target, StoredPrediction] = {}
    withheld: dict[Target, Withholding] = {}
    maps: dict[Target, Mapping[str, Path]] = {}
    for target in (name for name in chosen if name != ESTIMATED):
        timer = StageTimer()
        with timer.at("load"):
            model = load_model(target, config)
        prediction = predict_case(case, model, timer=timer, progress=progress)
        withheld[target] = partial(without_each_modality, prediction, model, progress=progress)
        new[target] = prediction, run_of(prediction, model, command=command, timer=timer)
        reference = reference_modality(case, target)
        maps[target] = write_prediction(*new[target], out, reference=reference, overwrite=overwrite).maps
    stored, perfusion = with_stored(new, out, case.name), None
    by_target = {prediction.maps.target: (prediction, run) for prediction, run in stored}
    # An earlier estimate is made again: what it was made from has changed.
    if ESTIMATED in chosen or ESTIMATED in by_target:
        estimated = estimated_from(by_target, facts=facts, config=config, command=command)
        if estimated is not None:
            result, record = estimated
            new[ESTIMATED], perfusion = (result.prediction, record), result.further()
            again = overwrite or ESTIMATED in by_target
            maps[ESTIMATED] = _write_estimate(result, record, out, overwrite=again)
            stored = with_stored(new, out, case.name)
    clinic = clinical_summary(
        {p.maps.target: p for p, _ in stored}, facts=facts, withheld=withheld, perfusion=perfusion, progress=progress
    )
    page = write_page(stored, out, clinic=clinic)
    outcomes = {
        target: PredictionOutcome(
            case.name, maps[target], page, prediction.findings, prediction.scores, prediction, prediction.case.warnings
        )
        for target, (prediction, _) in new.items()
    }
    return Assessment(case.name, outcomes, clinic, page)


def _write_estimate(result: HypoperfusionEstimate, run: RunRecord, out: Path, *, overwrite: bool) -> dict[str, Path]:
    """Writes the estimate and its map of Tmax; the maps by name."""
    prediction = result.prediction
    case, grid = prediction.case, prediction.maps.grid
    reference = reference_modality(case, ESTIMATED)
    scan = case.scan(reference)
    # The map of Tmax comes first: a prediction with its manifest is complete.
    image, _ = write_tmax(
        result.tmax_s, grid, out, name=case.name, native=scan.native, modality_source=scan.source, overwrite=overwrite
    )
    written = write_prediction(prediction, run, out, reference=reference, overwrite=overwrite)
    return {**written.maps, "tmax": image}


def estimated_from(
    predictions: Mapping[Target, StoredPrediction], *, facts: ClinicalFacts, config: InferenceConfig, command: str = ""
) -> tuple[HypoperfusionEstimate, RunRecord] | None:
    """The estimate of hypoperfusion from the predictions of a case, with its manifest.

    Args:
        predictions: The predictions of the case by target; that of the lesion is needed.
        facts: What is known of the patient; the time of onset is used.
        config: The seed of the draws.
        command: Command line, for the manifest.

    Returns:
        None where there is no lesion with the masks of its draws, or its head could not be placed in the atlas.
    """
    timer = StageTimer()
    if "lesion" not in predictions or (lesion := predictions["lesion"][0]).mask_draws is None:
        return None
    with timer.at("load"):
        networks = released_perfusion()
    with timer.at("estimate hypoperfusion"):
        place = placed(lesion.case)
        if place.deformation is None:
            return None
        clot = predictions["thrombus"][0] if "thrombus" in predictions else None
        result = estimate_hypoperfusion(
            networks,
            (lesion, place),
            None if clot is None else (clot, placed(clot.case)),
            onset_h=hours_since_onset(facts),
            seed=config.seed,
        )
    record = run_record(
        result.prediction.case,
        command=command,
        seed=config.seed,
        weights={"name": networks[0].card.name, "sha256": networks[0].card.sha256},
        options={
            "target": ESTIMATED,
            "draws": result.prediction.maps.draws,
            "threshold": result.prediction.maps.threshold,
            "high_threshold": result.prediction.maps.high_threshold,
            "sources": list(result.sources),
        },
        timer=timer,
        references=citations(estimate_hypoperfusion, PerfusionNetwork, summarise),
    )
    return result, record


def without_each_modality(
    prediction: Prediction, model: SegmentationModel, regions: Mask, *, progress: Progress = quiet
) -> WithheldProbabilities | None:
    """The probability of some regions without each modality of the case; None where only one modality is there.

    Args:
        prediction: The prediction of the case.
        model: The model that made it.
        regions: (X, Y, Z) of the maps, the regions of the worklist.
        progress: Follows the passes.
    """
    aligned, within = prediction.case, analysed_region(prediction.case)
    cases = model.network_cases(aligned)
    return withheld_probabilities(model, cases, prediction.maps.grid, within=within, regions=regions, progress=progress)


def in_view(scans: Mapping[Modality, object], name: str) -> tuple[Target, ...]:
    """The targets with a released network that the scans of a case show.

    Raises:
        MissingInput: There is none.
    """
    released: tuple[Target, ...] = get_args(PredictedTarget)
    chosen = tuple(t for t in released if any(m in scans for m in TARGET_SPECS[t].reference_modalities))
    if not chosen:
        needed = " or ".join(dict.fromkeys(m for t in released for m in TARGET_SPECS[t].reference_modalities))
        raise MissingInput(
            name,
            expected=f"a scan that shows a target: {needed}",
            found=", ".join(scans) or "no scans",
            do="give one, such as --dwi FILE or --swi FILE",
        )
    return chosen


def report(directory: str | Path, *, overwrite: bool = True) -> tuple[Path, ...]:
    """Writes the report of every case in a folder of predictions again, from the files there.

    The clinical summary is the one beside the report.

    Raises:
        MissingInput: There is no finished prediction in the folder.
        OutputRefused: A page exists and must not be replaced.
    """
    directory, pages = Path(directory), []
    for name, stored in read_cases(directory):
        clinic = read_clinic(directory / clinic_name(name)) or None
        pages.append(write_page(list(stored), directory, clinic=clinic, overwrite=overwrite))
    return tuple(pages)
