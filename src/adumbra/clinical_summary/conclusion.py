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
from adumbra.core.types import Target

POSTERIOR = ("PCA", "vertebrobasilar")
"""Beginnings of the names of posterior territories, for which PC-ASPECTS is stated."""


def conclusion(
    predictions: Mapping[Target, Prediction],
    lesion: LesionPart | None,
    thrombus: ThrombusPart | None,
    hypoperfusion: HypoperfusionPart | None,
    rules: tuple[RuleVerdict, ...],
) -> list[str]:
    """Three lines, in the order of a report: diffusion, clot, mismatch and rules."""
    volume = None if lesion is None else predictions["lesion"].findings.volume_ml
    return [
        _lesion_line(lesion, volume),
        _clot_line(thrombus),
        f"{_mismatch_line(hypoperfusion)} {counts_sentence(rules)}",
    ]


def _lesion_line(lesion: LesionPart | None, volume: Estimate | None) -> str:
    if lesion is None or volume is None:
        return "Ischemic lesion: not analysed, for there is no diffusion-weighted image."
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


def _clot_line(thrombus: ThrombusPart | None) -> str:
    if thrombus is None:
        return "Clot: not analysed, for there is no susceptibility-weighted image and no angiography."
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


def _mismatch_line(hypoperfusion: HypoperfusionPart | None) -> str:
    if hypoperfusion is None:
        return "Hypoperfusion was not estimated."
    row = hypoperfusion.volume
    text = f"Estimated hypoperfusion {printed(row.median, 'ml')} ({row.low:.0f} to {row.high:.0f} ml)"
    if hypoperfusion.mismatch is not None:
        result = hypoperfusion.mismatch
        text += f", mismatch {printed(result.difference.median, 'ml')}, ratio {printed(result.ratio.median, '')}"
    return f"{text}; estimated, not measured perfusion."
