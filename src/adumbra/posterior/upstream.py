"""The upstream prior of a case, from what the released network of the lesion predicts."""

from dataclasses import replace
from functools import cache

import numpy as np

from adumbra.core.atlas.upstream import LEAST_PROBABILITY, upstream_shares
from adumbra.core.case import Case, Conversion
from adumbra.core.errors import MissingInput
from adumbra.core.options import ComputeConfig
from adumbra.networks.registry import SINGLE_WEIGHTS, load
from adumbra.posterior.deterministic import Deterministic, DeterministicPosterior
from adumbra.preprocessing.pipeline import network_case

WEIGHTS = SINGLE_WEIGHTS["lesion"][0]
"""Name of the weights that predict the lesion; one network without draws, for the shares need no more."""


def with_upstream_prior(aligned: Case, *, compute: ComputeConfig | None = None) -> Case:
    """An aligned case whose context holds how the predicted lesion relates to the territories of the arteries.

    Args:
        aligned: As ``preprocessing.pipeline.align_case`` gives it with ``in_atlas``, for any target.
        compute: How the network of the lesion is applied.

    Returns:
        The same case where it has no DWI: no lesion is predicted then.

    Raises:
        MissingInput: The case was not placed in MNI152 space.
    """
    if aligned.context is None:
        raise MissingInput(
            aligned.name,
            expected="a place in MNI152 space",
            found="none",
            do="call adumbra.preprocessing.pipeline.align_case with in_atlas=True",
        )
    if "dwi" not in aligned.scans:
        return aligned
    posterior = _lesion_posterior(compute or ComputeConfig())
    card = posterior.trained.card
    scans = {m: scan for m, scan in aligned.scans.items() if m in posterior.trained.network.config.modalities}
    case = network_case(aligned.updated(scans=scans), spacing_mm=card.spacing_mm)
    probability = posterior.deterministic(case)
    shares = upstream_shares(probability, case.masks["brain"].data, case.grid, aligned.context.deformation)
    lesion_ml = float(np.count_nonzero(probability >= LEAST_PROBABILITY)) * case.grid.voxel_ml
    note = Conversion(
        "posterior.upstream",
        "dwi",
        "Predicted a lesion for the upstream prior",
        {"weights": card.sha256, "lesion_ml": round(lesion_ml, 2)},
    )
    return aligned.updated(note, context=replace(aligned.context, upstream=shares))


@cache
def _lesion_posterior(compute: ComputeConfig) -> DeterministicPosterior:
    return DeterministicPosterior(load(WEIGHTS), Deterministic(), "lesion", compute)
