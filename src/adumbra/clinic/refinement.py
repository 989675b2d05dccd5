"""What a second pass changed, as a sentence of the report."""

from collections.abc import Sequence

from adumbra.core.results import RefinementSummary


def refinement_notes(summary: RefinementSummary | None) -> Sequence[str]:
    """The note that stands beside the volume of a refined prediction; none for a prediction without a second pass."""
    if summary is None:
        return ()
    if summary.windows == 0:
        return ("The second pass read no window: the first pass has no voxel of the uncertainty that it looks for.",)
    return (
        f"A second pass read {summary.windows} of {summary.all_windows} windows again. "
        f"The volume of the mask is {summary.first_ml:.2f} ml after the first pass and {summary.refined_ml:.2f} ml "
        "after both.",
    )
