"""The second pass of trained networks: what a refinement needs beside the first pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isnan

import numpy as np

from adumbra.core.errors import WeightsRejected
from adumbra.core.geometry.components import hysteresis_threshold
from adumbra.core.options import ComputeConfig, RefinementConfig
from adumbra.core.results import Maps, RefinementSummary
from adumbra.core.types import Mask, Target, Volume
from adumbra.fusion.refinement.posterior import RefinedPosterior, second_pass_state
from adumbra.fusion.refinement.refined_case import RefinedCase, SecondPass
from adumbra.fusion.refinement.windows import WindowSize
from adumbra.inference.protocols import TrainedNetwork
from adumbra.posterior.registry import posterior_of

_MANY = 32  # Windows among which the memory for features is divided where no largest number is given.


@dataclass(frozen=True, eq=False)
class Refinement:
    """A refinement with its networks.

    Attributes:
        networks: The networks of the second pass.
        second_pass: Its posterior, windows, selection and weight.
    """

    networks: Sequence[TrainedNetwork]
    second_pass: SecondPass

    @property
    def methods(self) -> tuple[object, ...]:
        """The classes whose papers a manifest names."""
        return (RefinedPosterior, *self.second_pass.posterior.methods)

    def as_json(self, summary: RefinementSummary) -> Mapping[str, object]:
        """Settings and outcome as plain values, for a manifest."""
        share = None if isnan(summary.covered_share) else summary.covered_share
        return {**second_pass_state(self.second_pass), "outcome": {**asdict(summary), "covered_share": share}}


def refinement_of(
    networks: Sequence[TrainedNetwork],
    config: RefinementConfig,
    *,
    target: Target,
    first_members: int = 1,
    compute: ComputeConfig | None = None,
) -> Refinement:
    """The refinement by some networks. Its windows have the side of those with which they read a whole head.

    Args:
        networks: Networks of one spacing.
        config: Selection and weight.
        target: The target to segment.
        first_members: Number of members of the first pass; its uncertainty is measured with at least one draw of each.
        compute: How the networks are applied. The memory for features is shared by the windows and the networks.

    Raises:
        WeightsRejected: The networks differ in spacing or window, or do not segment the target.
        InputRejected: There is no posterior of that name.
    """
    size = window_size(networks)
    compute = compute or ComputeConfig()
    parts = max(1, _MANY if config.selection.most is None else config.selection.most) * len(networks)
    compute = replace(compute, window=size.side, overlap=0.0, cache_gb=compute.cache_gb / parts)
    posterior = posterior_of(networks, config.posterior, target=target, compute=compute)
    selection = replace(config.selection, draws=max(config.selection.draws, first_members))
    return Refinement(networks, SecondPass(posterior, size, selection, config.weight, target))


def window_size(networks: Sequence[TrainedNetwork]) -> WindowSize:
    """The windows of a second pass: those with which its networks read a whole head.

    Windows as small as the training patches are no substitute: a large infarct fills them and looks like normal tissue.

    Raises:
        WeightsRejected: The networks differ in their windows.
    """
    sizes = list(dict.fromkeys(WindowSize(n.card.spacing_mm, n.card.window or n.card.patch) for n in networks))
    if len(sizes) > 1:
        raise WeightsRejected(
            networks[-1].card.name,
            expected="a second pass of networks with one spacing and one window",
            found=", ".join(f"windows of {size.side} voxels of {size.spacing_mm:g} mm" for size in sizes),
            do="refine with networks of one training grid",
        )
    return sizes[0]


def refinement_summary(
    refined: RefinedCase | None, maps: Maps, *, within: Mask, calibrate: Callable[[Volume], Volume] | None
) -> RefinementSummary | None:
    """What a second pass changed, once all draws are made; None without one.

    Args:
        refined: The case whose draws made the maps.
        maps: Maps of the refined draws.
        within: (X, Y, Z), the analysed region.
        calibrate: The calibration of probabilities, which is applied to the mean of the first pass; None has none.
    """
    if refined is None:
        return None
    first = refined.first_mean.value
    first_ml = 0.0
    if first is not None:
        probability = np.where(within, first if calibrate is None else calibrate(first), np.float32(0.0))
        mask = hysteresis_threshold(probability, low=maps.threshold, high=maps.high_threshold)
        first_ml = int(np.count_nonzero(mask)) * maps.grid.voxel_ml
    refined_ml = int(np.count_nonzero(maps.mask)) * maps.grid.voxel_ml
    choice = refined.choice
    return RefinementSummary(
        len(choice.windows.corners), choice.all_windows, choice.covered_share, first_ml, refined_ml
    )
