"""The conclusion of a report: three lines on the lesion, the clot, and mismatch with the rules."""

from collections.abc import Mapping
from math import isnan

from adumbra.clinic.clot_artery import ClotArtery
from adumbra.clinic.distribution import percent, printed
from adumbra.clinic.region_scores import Score
from adumbra.clinic.rules.verdicts import RuleVerdict
from adumbra.clinical_summary.lesion import LEAST_ML, LesionPart
from adumbra.clinical_summary.mismatch import HypoperfusionPart
from adumbra.clinical_summary.rules import counts_sentence
from adumbra.clinical_summary.thrombus import ThrombusPart
from adumbra.core.results import Estimate, Prediction
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Target

SURE_CLOSED = 0.9
"""Probability of a closed artery from which the median volume of hypoperfusion is stated."""
POSTERIOR = ("PCA", "vertebrobasilar")
"""Beginnings of the names of posterior territories, for which PC-ASPECTS is stated."""
_TITLES: Mapping[Target, str] = {"lesion": "Ischemic lesion", "thrombus": "Clot", "hypoperfusion": "Hypoperfusion"}
_NEEDED: Mapping[Target, str] = {
    "lesion": "diffusion-weighted image",
    "thrombus": "susceptibility-weighted image and no angiography",
}


def conclusion(
    predictions: Mapping[Target, Prediction],
    lesion: LesionPart | None,
    thrombus: ThrombusPart | None,
    hypoperfusion: HypoperfusionPart | None,
    rules: tuple[RuleVerdict, ...],
) -> list[str]:
    """Three lines, in the order of a report: diffusion, clot, mismatch and rules.

    Args:
        predictions: All predictions of the case, also those that the summary has no part of.
        lesion: What the summary says of the lesion; None where it says nothing.
        thrombus: The same of the thrombus.
        hypoperfusion: The same of hypoperfusion.
        rules: The verdicts on the rules.
    """
    volume = None if lesion is None else predictions["lesion"].findings.volume_ml
    lines: dict[Target, str] = {
        "lesion": "" if lesion is None or volume is None else _lesion_line(lesion, volume),
        "thrombus": "" if thrombus is None else _clot_line(thrombus),
        "hypoperfusion": "" if hypoperfusion is None else _mismatch_line(hypoperfusion),
    }
    lesion_line, clot_line, mismatch_line = (line or absence(t, predictions) for t, line in lines.items())
    return [lesion_line, clot_line, f"{mismatch_line} {counts_sentence(rules)}"]


def absence(target: Target, predictions: Mapping[Target, Prediction]) -> str:
    """Why a summary says nothing of a target, and what to do.

    Args:
        target: The target.
        predictions: All predictions of the case.
    """
    title = _TITLES[target]
    if target in predictions:
        volume = predictions[target].findings.volume_ml
        return (
            f"{title}: {volume.value:.3g} ml segmented by an earlier version, which stored no masks of the draws. "
            "Places, measures and rules need them; predict the case again, with --overwrite."
        )
    if target == "hypoperfusion":
        return "Hypoperfusion was not estimated."
    scans = {modality for prediction in predictions.values() for modality in prediction.case.scans}
    if any(modality in scans for modality in TARGET_SPECS[target].reference_modalities):
        return f"{title}: not segmented in this folder. Predict it into the folder, with --target {target}."
    return f"{title}: not analysed, for there is no {_NEEDED[target]}."


def _lesion_line(lesion: LesionPart, volume: Estimate) -> str:
    interval = f"{volume.level:.0%} interval {volume.low:.1f} to {volume.high:.1f} ml"
    if volume.value < LEAST_ML:
        return f"No ischemic lesion was segmented ({interval}). This does not exclude a stroke."
    text = f"Ischemic lesion of {volume.value:.1f} ml ({interval})"
    if lesion.territories is None or lesion.scores is None:
        return f"{text}."
    side, main = lesion.territories.affected_side, lesion.plain["main_territory"]
    text += f", {side if side != 'neither' else 'on both sides alike'}"
    if main:
        text += f", mainly {main}"
    posterior = main.startswith(POSTERIOR)
    return f"{text}; {_score(lesion.scores.pc_score if posterior else lesion.scores.score, posterior=posterior)}."


def _score(score: Score, *, posterior: bool) -> str:
    row = score.distribution
    name = "PC-ASPECTS" if posterior else "DWI-ASPECTS"
    interval = "" if row.low == row.high else f" ({row.low:.0f} to {row.high:.0f})"
    return f"{name} {row.median:.0f}{interval}"


def _clot_line(thrombus: ThrombusPart) -> str:
    if thrombus.clots is None or not thrombus.clots.clots:
        share = thrombus.plain["probability_visible"]
        rest = f" In {share:.0%} of the draws there is one." if share > 0.0 else ""
        return f"No clot was found.{rest} This does not exclude an occlusion."
    clot, artery = thrombus.clots.clots[0], thrombus.arteries[0]
    text = f"Clot of {printed(clot.reference.length_mm, 'mm')} length"
    if not isnan(clot.length.median) and clot.length.low != clot.length.high:
        text += f" ({clot.length.low:.0f} to {clot.length.high:.0f} mm over the draws)"
    number = len(thrombus.clots.clots)
    others = f" {number - 1} further clot{'s' if number > 2 else ''}: see below." if number > 1 else ""
    return f"{text}{_artery(artery)}.{others}"


def _artery(artery: ClotArtery | None) -> str:
    if artery is None:
        return ""
    if artery.is_sure:
        return f", in {artery.best} (probability {percent(artery.probabilities[artery.best])})"
    sentence = artery.sentence().removesuffix(".")
    return f"; artery {sentence[0].lower()}{sentence[1:]}"


def _mismatch_line(hypoperfusion: HypoperfusionPart) -> str:
    row, closed = hypoperfusion.volume, hypoperfusion.plain.get("closed_probability", 1.0)
    if closed < SURE_CLOSED:  # a median over draws with and without hypoperfusion describes neither
        return (
            f"Estimated hypoperfusion {row.low:.0f} to {row.high:.0f} ml; an artery is closed with a probability of "
            f"{percent(closed)}; estimated, not measured perfusion."
        )
    text = f"Estimated hypoperfusion {printed(row.median, 'ml')} ({row.low:.0f} to {row.high:.0f} ml)"
    if hypoperfusion.mismatch is not None:
        result = hypoperfusion.mismatch
        text += f", mismatch {printed(result.difference.median, 'ml')}, ratio {printed(result.ratio.median, '')}"
    return f"{text}; estimated, not measured perfusion."
