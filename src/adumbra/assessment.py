"""All targets of one case: predictions, the clinical summary that they give together, and one report.

``pipeline.predict`` segments one target. This module repeats it for every target that the sequences of a case allow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from adumbra.cases.facts import facts_beside
from adumbra.cases.registry import open_case
from adumbra.clinic.modality_evidence import WithheldProbabilities
from adumbra.clinic.rules.case_values import case_values
from adumbra.clinical_summary.build import clinical_summary
from adumbra.core.clinical_facts import NO_FACTS, ClinicalFacts
from adumbra.core.entropy import UNCERTAIN_NATS
from adumbra.core.errors import MissingInput
from adumbra.core.options import InferenceConfig, InputOptions, TrainedTarget
from adumbra.core.progress import Progress, quiet
from adumbra.core.provenance import StageTimer
from adumbra.core.results import Prediction
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Modality, Target
from adumbra.modality_change import withheld_probabilities
from adumbra.pipeline import PredictionOutcome, analysed_region, predict_case, run_of
from adumbra.preprocessing.pipeline import reference_modality
from adumbra.report.bids import bids_name
from adumbra.report.prediction_files import clinic_name, refuse_earlier, with_stored, write_page, write_prediction
from adumbra.report.stored_predictions import StoredPrediction, read_cases, read_clinic
from adumbra.segmentation_model import SegmentationModel, load_model


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
    for target in chosen:
        reference_modality(case, target)
        refuse_earlier(out, case.name, target, overwrite=overwrite)
    new: dict[Target, StoredPrediction] = {}
    withheld: dict[Target, WithheldProbabilities] = {}
    maps: dict[Target, Mapping[str, Path]] = {}
    for target in chosen:
        timer = StageTimer()
        with timer.at("load"):
            model = load_model(target, config)
        prediction = predict_case(case, model, timer=timer, progress=progress)
        with timer.at("withhold modalities"):
            change = without_each_modality(prediction, model, progress=progress)
        if change is not None:
            withheld[target] = change
        new[target] = prediction, run_of(prediction, model, command=command, timer=timer)
        reference = reference_modality(case, target)
        maps[target] = write_prediction(*new[target], out, reference=reference, overwrite=overwrite).maps
    stored = with_stored(new, out, case.name)
    clinic = clinical_summary({p.maps.target: p for p, _ in stored}, facts=facts, withheld=withheld, progress=progress)
    page = write_page(stored, out, clinic=clinic)
    outcomes = {
        target: PredictionOutcome(
            case.name, maps[target], page, prediction.findings, prediction.scores, prediction, prediction.case.warnings
        )
        for target, (prediction, _) in new.items()
    }
    return Assessment(case.name, outcomes, clinic, page)


def without_each_modality(
    prediction: Prediction, model: SegmentationModel, *, progress: Progress = quiet
) -> WithheldProbabilities | None:
    """The probability of a case without each of its modalities; None where nothing is uncertain, or only one is there.

    Args:
        prediction: The prediction of the case.
        model: The model that made it.
        progress: Follows the passes.
    """
    aligned, maps = prediction.case, prediction.maps
    if not (maps.entropy >= UNCERTAIN_NATS).any():
        return None
    cases = model.network_cases(aligned)
    return withheld_probabilities(model, cases, maps.grid, within=analysed_region(aligned), progress=progress)


def in_view(scans: Mapping[Modality, object], name: str) -> tuple[Target, ...]:
    """The targets with a released network that the scans of a case show.

    Raises:
        MissingInput: There is none.
    """
    released: tuple[Target, ...] = get_args(TrainedTarget)
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
