"""Builds the clinical summary of a case from the predictions of its targets."""

from collections.abc import Mapping
from typing import Any

from adumbra.clinic.rules.verdicts import DISCLAIMER
from adumbra.clinical_summary.conclusion import conclusion
from adumbra.clinical_summary.lesion import LesionPart, lesion_part
from adumbra.clinical_summary.mismatch import HypoperfusionPart, hypoperfusion_part
from adumbra.clinical_summary.place import PlacedCase, placed
from adumbra.clinical_summary.rules import rule_values, verdicts
from adumbra.clinical_summary.signs import signs
from adumbra.clinical_summary.thrombus import ThrombusPart, thrombus_part
from adumbra.clinical_summary.worklists import Withholding, worklists
from adumbra.core.clinical_facts import NO_FACTS, ClinicalFacts
from adumbra.core.progress import Progress, quiet
from adumbra.core.results import Prediction
from adumbra.core.types import Target
from adumbra.report.bids import RESEARCH_USE

SCHEMA = "https://adumbra.invalid/clinical-summary-1"
"""Identifier of the schema; it is a name and no address."""


def clinical_summary(
    predictions: Mapping[Target, Prediction],
    *,
    facts: ClinicalFacts = NO_FACTS,
    withheld: Mapping[Target, Withholding] | None = None,
    perfusion: Mapping[str, Any] | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """The clinical summary of a case, as plain values.

    Args:
        predictions: The predictions of the case by target, at least one; those without the masks of their draws, as
            earlier versions wrote them, are left out, and the conclusion says so.
        facts: What is known of the patient besides the images.
        withheld: Computes the probabilities without each modality by target, for the regions of the worklist.
        perfusion: Further plain values of the estimate of hypoperfusion, such as the volume of Tmax > 10 s.
        progress: Shows the progress over targets.

    Raises:
        InputRejected: A fact is of the wrong kind.
        ImplausibleValues: A fact is outside its range.
    """
    usable = {t: p for t, p in predictions.items() if p.mask_draws is not None and len(p.mask_draws) > 0}
    lesion: LesionPart | None = None
    thrombus: ThrombusPart | None = None
    hypoperfusion: HypoperfusionPart | None = None
    placed_cases: dict[Target, tuple[Prediction, PlacedCase]] = {}
    for target, prediction in progress.track(usable.items(), what="Clinical summary", total=len(usable)):
        place = _place(target, prediction)
        placed_cases[target] = prediction, place
        if target == "lesion":
            lesion = lesion_part(prediction, place)
        elif target == "thrombus":
            thrombus = thrombus_part(prediction, place)
        else:
            hypoperfusion = hypoperfusion_part(prediction, usable.get("lesion"), perfusion or {})
    clot = None if thrombus is None else thrombus.largest
    own_signs = signs(placed_cases.get("lesion"), placed_cases.get("thrombus"), clot)
    values = rule_values(lesion, thrombus, hypoperfusion, facts, own_signs.rule_draws)
    rules = verdicts(values)
    estimated = "occlusion_site" not in facts.known()
    lists = worklists(placed_cases, lesion, values, withheld or {}, site_is_estimated=estimated)
    parts = {"lesion": lesion, "thrombus": thrombus, "hypoperfusion": hypoperfusion}
    return {
        "schema": SCHEMA,
        "use": RESEARCH_USE,
        "case": next(iter(predictions.values())).case.name,
        "conclusion": conclusion(predictions, lesion, thrombus, hypoperfusion, rules),
        "facts": facts.known(),
        **{name: None if part is None else part.plain for name, part in parts.items()},
        **own_signs.as_json(),
        "worklist": {target: own.as_json() for target, own in lists.items()},
        "rules": [rule.as_json() for rule in rules],
        "rules_note": DISCLAIMER,
    }


def _place(target: Target, prediction: Prediction) -> PlacedCase:
    """The place of a head; its reflection too where a clot is compared with the other side."""
    return placed(prediction.case, mirrored=target == "thrombus" and bool(prediction.maps.mask.any()))
