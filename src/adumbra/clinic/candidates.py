"""What was decided about the candidates of a clot, as sentences of the report."""

from collections.abc import Sequence

from adumbra.core.candidates import CandidateDecision, MissedClot

NO_CLOT = "No clot found"
"""Beginning of the note of a case in which no candidate was accepted."""


def candidate_notes(decision: CandidateDecision | None) -> Sequence[str]:
    """The notes that stand beside the volume; none for a prediction without a second look."""
    if decision is None:
        return ()
    notes = [_outcome(decision)]
    if not decision.accepted and decision.calibrated:
        notes.append(_missed(decision.missed))
    if not decision.calibrated:
        notes.append("The probabilities of the candidates are not calibrated, and no candidate was dropped as a vein.")
    return tuple(notes)


def _outcome(decision: CandidateDecision) -> str:
    count, accepted = len(decision.candidates), len(decision.accepted)
    if not count:
        return f"{NO_CLOT}: the first pass has no candidate."
    number = "1 candidate" if count == 1 else f"{count} candidates"
    if not accepted:
        return f"{NO_CLOT}: none of {number} was accepted."
    return f"{accepted} of {number} accepted, each with a probability of a clot of at least {decision.threshold:.2f}."


def _missed(missed: MissedClot | None) -> str:
    """How often a visible clot was missed where nothing was accepted."""
    if missed is None:
        return "How often this is wrong is unknown: a candidate was accepted in every calibration case."
    source = "simulated cases (phantoms, not patients)" if missed.simulated else "calibration cases"
    return (
        f"A visible clot was missed in {100 * missed.probability:.0f} of 100 {source} without an accepted candidate, "
        f"among {missed.cases} with a similar best candidate "
        f"({missed.level:.0%} interval {100 * missed.low:.0f} to {100 * missed.high:.0f}). "
        "A clot that no sequence shows is not counted."
    )
