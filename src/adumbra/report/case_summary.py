"""The bar of the sources of the interval's width, and the sentences on width and case score, of report and terminal."""

from dataclasses import dataclass

from adumbra.core.case_features import CaseScore, WidthShares

WIDTH, HEIGHT = 420.0, 12.0
WITHIN_NAMES = {"annotators": "predicted noise within a member", "draws": "draws of one member"}
"""Name of the variance among the draws of one member, by ``WidthShares.within_source``."""


@dataclass(frozen=True)
class Segment:
    """One part of the bar.

    Attributes:
        source: Source of the width: ``"members"``, ``"within"`` or ``"calibration"``.
        x: Left end.
        width: Width, in a box of ``WIDTH`` by ``HEIGHT``.
    """

    source: str
    x: float
    width: float


def width_segments(shares: WidthShares) -> tuple[Segment, ...]:
    """The bar from left to right: members, draws within a member, calibration; sources without a share are left out."""
    segments, x = [], 0.0
    for source, share in _sources(shares).items():
        if share > 0.0:
            segments.append(Segment(source, x, share * WIDTH))
            x += share * WIDTH
    return tuple(segments)


def width_legend(shares: WidthShares) -> tuple[tuple[str, str, str], ...]:
    """Source, name and percentage of each part of the bar, also of those without a share."""
    names = {"members": "members", "within": WITHIN_NAMES[shares.within_source], "calibration": "calibration"}
    return tuple((source, names[source], f"{share:.0%}") for source, share in _sources(shares).items())


def width_sentence(shares: WidthShares) -> str:
    """The shares in one sentence."""
    parts = ", ".join(f"{name} {share}" for _, name, share in width_legend(shares))
    return f"Sources of the interval's width (squared, logarithmic scale): {parts}"


def score_sentences(score: CaseScore) -> tuple[str, ...]:
    """The case score, then its calibrated meaning where there is one."""
    of = f"the {score.members} members" if score.members > 1 else "the draws"
    agreement = f"Case score: mean Dice of {of} with each other: {score.value:.2f}"
    if score.probability is None or score.low is None or score.high is None:
        return (agreement,)
    return (
        agreement,
        f"Dice was below {score.dice_limit:g} in {round(score.probability * score.similar_cases)} of "
        f"{score.similar_cases} calibration cases with a similar score ({100 * score.probability:.0f}%, 95% interval "
        f"{100 * score.low:.0f} to {100 * score.high:.0f}%)",
    )


def _sources(shares: WidthShares) -> dict[str, float]:
    return {"members": shares.members, "within": shares.within, "calibration": shares.calibration}
