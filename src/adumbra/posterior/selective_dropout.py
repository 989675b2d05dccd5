"""Selective Monte-Carlo dropout: one deterministic pass, and draws only at voxels where it is uncertain.

Where the deterministic probability p is near 0 or 1, so it is in every draw, and there is nothing to sample. At voxels
whose entropy reaches ``least_entropy`` a draw is

    p + Σ_i w_i (σ(l_i') - σ(l_i))

over the windows i that contain the voxel, with their blending weights w_i, logits l_i without dropout and l_i' with the
draw's dropout masks; elsewhere it is p. The deep levels, which hold the dropout, are computed for whole windows, the
levels above for these voxels only (``networks.sparse_decoder``). So each draw is one network in all windows. Several
draws are computed together.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from adumbra.core.case import Case
from adumbra.core.entropy import binary_entropy
from adumbra.core.errors import WeightsRejected
from adumbra.core.options import ComputeConfig
from adumbra.core.results import AttentionMaps
from adumbra.core.rng import children
from adumbra.core.types import Channels, Structure, Target, Volume
from adumbra.inference.attention_maps import attention_maps
from adumbra.inference.device import autocast
from adumbra.inference.posteriors import require_draws
from adumbra.inference.protocols import SparseDecoding, TrainedNetwork
from adumbra.inference.sliding_window import Box, gaussian_bell
from adumbra.inference.structures import structure_maps
from adumbra.inference.windowed_inference import WindowedInference
from adumbra.networks.sparse_decoder import CachedWindow, SparseSites
from adumbra.posterior.mc_dropout import MCDropout
from adumbra.posterior.sampled_posterior import SampledPosterior

_LEAST_SHARE = 0.15  # Share of the blend that a window must have in a voxel to be computed there.
_FLOOR = 1e-9  # Least distance of a probability from 0 and 1 when its entropy is taken.


@dataclass(frozen=True, eq=False)
class SelectiveMCDropout:
    """Monte-Carlo dropout of a network whose dropout lies at its deepest levels.

    Attributes:
        trained: A network and its card.
        target: The target to segment; None is the network's first.
        compute: How the network is applied.
        least_entropy: Entropy of the deterministic probability, in nats, from which a voxel is sampled; 0 samples all.
        batch_size: Number of draws that are computed together.

    Raises:
        WeightsRejected: The network does not segment the target, or its dropout does not lie at the deepest levels.
    """

    trained: TrainedNetwork
    target: Target | None = None
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    least_entropy: float = 0.03
    batch_size: int = 10

    def __post_init__(self) -> None:
        _ = self._dense
        _ = self._network

    @property
    def _dense(self) -> SampledPosterior:
        return SampledPosterior(self.trained, MCDropout(), self.target, self.compute)

    @property
    def _network(self) -> SparseDecoding:
        network = self.trained.network.sparse_decoding
        if network is None:
            raise WeightsRejected(
                self.trained.card.name,
                expected="a network whose dropout lies at the deepest levels alone",
                found=f"dropout {self.trained.network.config.dropout}",
                do="draw everywhere: ComputeConfig(dense_draws=True)",
            )
        return network

    @property
    def targets(self) -> tuple[Target | Structure, ...]:
        """Targets that the network segments."""
        return self._dense.targets

    @property
    def state(self) -> Mapping[str, object]:
        """The weights, dropout, and the least entropy."""
        return {**self._dense.state, "least_entropy": self.least_entropy}

    @property
    def methods(self) -> tuple[object, ...]:
        """The class whose papers a manifest names."""
        return (MCDropout,)

    def prepare(self, case: Case, guidance: Channels | None = None) -> "DeterministicPass":
        """The deterministic pass of a case; see ``inference.posteriors.Posterior.prepare``."""
        inference = WindowedInference(
            case, self.trained, "decoder", target=self.target, compute=self.compute, guidance=guidance
        )
        return DeterministicPass(inference, self._network, self.least_entropy, self.batch_size)

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``inference.posteriors.Posterior.draws``."""
        require_draws(n)
        return self.prepare(case).draws(n, generator)

    def deterministic(self, case: Case) -> Volume:
        """The probability volume without dropout."""
        return self._dense.deterministic(case)


@dataclass(frozen=True, eq=False)
class UncertainVoxels:
    """The uncertain voxels of one window.

    Attributes:
        window: Number of the window.
        box: Slices of the window in the volume.
        selected: (side, side, side), bool.
        weight: (N,), the window's share of the blend at each voxel.
        sites: What the network must compute for them.
    """

    window: int
    box: Box
    selected: np.ndarray
    weight: np.ndarray
    sites: SparseSites


class DeterministicPass:
    """A case without dropout, and its uncertain voxels.

    Args:
        inference: Windows of the case before the decoder.
        network: The same network, as one that can draw at selected voxels.
        least_entropy: See ``SelectiveMCDropout``.
        batch_size: See ``SelectiveMCDropout``.
    """

    def __init__(
        self, inference: WindowedInference, network: SparseDecoding, least_entropy: float, batch_size: int
    ) -> None:
        self.inference, self.network, self.batch_size = inference, network, batch_size
        self.windows: dict[int, CachedWindow] = {}
        self.blended = inference.input.windows.blend(self._probability(n) for n in range(len(inference.boxes)))
        entropy = binary_entropy(np.clip(self.blended.astype(np.float64), _FLOOR, 1.0 - _FLOOR))
        self.uncertain = self._uncertain_voxels((entropy >= least_entropy) & inference.input.within)
        used = {voxels.window for voxels in self.uncertain}
        self.windows = {number: window for number, window in self.windows.items() if number in used}

    def draw(self, generator: np.random.Generator) -> Volume:
        """One draw."""
        return next(self.batch([generator], 1))

    def draws(self, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time."""
        require_draws(n)
        batches = batched(children(generator, n), self.batch_size)
        return itertools.chain.from_iterable(self.batch(generators, self.batch_size) for generators in batches)

    def deterministic(self) -> Volume:
        """The probability volume without dropout."""
        return self.inference.deterministic()

    def attention_maps(self) -> AttentionMaps | None:
        """Cross-attention weights on the case's grid; None where there are none."""
        return attention_maps(self.inference)

    def structure_maps(self) -> Mapping[Structure, Volume]:
        """Probability of each structure on the case's grid; empty where the network learns none."""
        return structure_maps(self.inference)

    def batch(self, generators: Sequence[np.random.Generator], size: int) -> Iterator[Volume]:
        """A draw for each generator, computed together.

        ``size`` networks are computed whatever the number of generators, since rounding depends on it.
        """
        masks = [self.network.sample_dropout_masks(generator) for generator in generators]
        masks += [masks[-1]] * (size - len(masks))
        stacked = tuple(torch.stack(site).to(self.inference.device) for site in zip(*masks, strict=True))
        changes = [self._changes(voxels, stacked) for voxels in self.uncertain]
        for number in range(len(generators)):
            volume = self.blended.copy()
            for voxels, change in zip(self.uncertain, changes, strict=True):
                volume[voxels.box][voxels.selected] += change[number]
            yield self.inference.input.restore(np.clip(volume, 0.0, 1.0, out=volume))

    @torch.inference_mode()
    def _changes(self, voxels: UncertainVoxels, masks: tuple[torch.Tensor, ...]) -> np.ndarray:
        """Change of the blended volume at the uncertain voxels of a window, for each draw, (draws, N)."""
        channel = self.inference.channel
        with autocast(self.inference.compute.precision, self.inference.device):
            window = self._window(voxels.window)
            deep = self.network.deep_features(window, masks)
            sampled = self.network.sparse_logits(window, deep, voxels.sites)[:, channel].float().sigmoid()
        selected = torch.from_numpy(voxels.selected).to(sampled.device)
        change = sampled - window.logits[0, channel][selected].float().sigmoid()
        weighted: np.ndarray = change.cpu().numpy() * voxels.weight
        return weighted

    @torch.inference_mode()
    def _probability(self, number: int) -> np.ndarray:
        """The deterministic probability of a window."""
        with autocast(self.inference.compute.precision, self.inference.device):
            window = self._window(number)
        piece: np.ndarray = window.logits[0, self.inference.channel].float().sigmoid().cpu().numpy()
        return piece

    def _window(self, number: int) -> CachedWindow:
        if number in self.windows:
            return self.windows[number]
        window = self.network.cached_window(self.inference.window(number).features)
        if number in self.inference.cached:
            self.windows[number] = window
        return window

    def _uncertain_voxels(self, uncertain: np.ndarray) -> list[UncertainVoxels]:
        """The uncertain voxels of each window that has a share in them."""
        bell = gaussian_bell(self.inference.input.windows.side)
        total = np.zeros(uncertain.shape, dtype=np.float32)
        for box in self.inference.boxes:
            total[box] += bell
        windows = []
        for number, box in enumerate(self.inference.boxes):
            share = bell / total[box]
            selected = uncertain[box] & (share >= _LEAST_SHARE)
            if selected.any():
                sites = self._sites(number, selected)
                windows.append(UncertainVoxels(number, box, selected, share[selected], sites))
        return windows

    @torch.inference_mode()
    def _sites(self, number: int, selected: np.ndarray) -> SparseSites:
        with autocast(self.inference.compute.precision, self.inference.device):
            return self.network.sparse_sites(self._window(number), selected)


def batched(generators: Iterator[np.random.Generator], size: int) -> Iterator[list[np.random.Generator]]:
    """Lists of ``size`` generators, the last perhaps shorter; no more are taken than are yielded."""
    while batch := list(itertools.islice(generators, size)):
        yield batch
