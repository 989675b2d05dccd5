"""The result of ``adumbra predict`` as text and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from adumbra.cli.options import RESEARCH_USE

if TYPE_CHECKING:
    import adumbra.assessment
    import adumbra.pipeline
    from adumbra.core.results import Findings

CLINIC_KEYS = ("conclusion", "facts", "lesion", "thrombus", "hypoperfusion", "rules")
"""The parts of the clinical summary that ``--json`` prints; the file beside the report holds all of it."""


def json_assessment(assessment: "adumbra.assessment.Assessment") -> dict[str, object]:
    """All targets as ``--json`` prints them: the first one, then the further ones, then the clinical summary."""
    first, *further = assessment.targets.values()
    clinic: Mapping[str, Any] = assessment.clinic
    return {
        **json_outcome(first),
        "further_targets": {outcome.findings.target: json_outcome(outcome) for outcome in further},
        "clinic": {key: clinic[key] for key in CLINIC_KEYS},
        "warnings": [*assessment.warnings],
    }


def assessment_text(assessment: "adumbra.assessment.Assessment") -> str:
    """All targets in a few lines, with the conclusion on top."""
    lines = [f"{assessment.case}", *(f"  {line}" for line in assessment.clinic["conclusion"]), ""]
    for outcome in assessment.targets.values():
        lines += target_lines(outcome)
    return "\n".join([*lines, f"Report: {assessment.report}", RESEARCH_USE])


def json_outcome(outcome: "adumbra.pipeline.PredictionOutcome") -> dict[str, object]:
    """The result of a prediction as ``--json`` prints it."""
    findings, volume = outcome.findings, outcome.findings.volume_ml
    return {
        "case": outcome.case,
        "target": findings.target,
        "volume_ml": {"value": volume.value, "low": volume.low, "high": volume.high, "level": volume.level},
        "interval_width": None if findings.width is None else asdict(findings.width),
        "case_score": None if findings.score is None else asdict(findings.score),
        "components": findings.components.value,
        "uncertain_regions": len(findings.regions),
        "scores": outcome.scores,
        "maps": dict(outcome.maps),
        "report": outcome.report,
        "notes": [*findings.notes, RESEARCH_USE],
        "warnings": [*outcome.warnings],
    }


def target_lines(outcome: "adumbra.pipeline.PredictionOutcome") -> list[str]:
    """The result of one target in a few lines, with the notes that belong to its numbers."""
    volume = outcome.findings.volume_ml
    level = f"{volume.level:.0%} " + ("of the draws" if volume.by == "draws" else "coverage, calibrated")
    interval = f"{level}: {volume.low:.2f} to {volume.high:.2f} ml"
    lines = [f"{outcome.case}: {outcome.findings.target} {volume.value:.2f} ml ({interval})"]
    lines += _width_and_score(outcome.findings)
    if outcome.scores is not None:
        labels = {"dice": "Dice", "lesion_f1": "lesion-wise F1"}
        scores = ", ".join(f"{label} {outcome.scores[name]:.2f}" for name, label in labels.items())
        lines.append(f"Against the ground truth: {scores}")
    lines += [f"Note: {note}" for note in outcome.findings.notes]
    return lines


def _width_and_score(findings: "Findings") -> list[str]:
    """The sources of the interval's width, and the case score with its calibrated meaning."""
    from adumbra.report.case_summary import score_sentences, width_sentence

    width = () if findings.width is None else (width_sentence(findings.width),)
    return [*width, *(() if findings.score is None else score_sentences(findings.score))]
