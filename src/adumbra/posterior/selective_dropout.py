"""Cheap draws: the network is run once without chance, and drawn from only where it doubts.

Where the probability p without chance is near 0 or 1, so it is in every draw, and there is nothing to sample. In the
voxels whose entropy reaches ``doubt``, a draw is

    p + Σ_i w_i (σ(l_i') - σ(l_i))

over the windows i that see the voxel, with their blending weights w_i and logits l_i without and l_i' with the draw's
dropout; elsewhere it is p. The deep levels, which hold the dropout, are computed for whole windows, what follows for
these voxels only, by the network's own ``at``. So each draw is still one network in all windows. Several draws are
computed together.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from adumbra.core.case import Case
from adumbra.core.errors import WeightsRejected
from adumbra.core.rng import children
from adumbra.core.types import Target, Volume
from adumbra.inference.device import autocast
from adumbra.inference.protocols import Loaded, Sampler, require_some
from adumbra.inference.sliding_window import Box, gaussian_bell
from adumbra.inference.windowed_inference import InferenceConfig, WindowedInference
from adumbra.posterior.mc_dropout import MCDropout
from adumbra.posterior.sampled_posterior import SampledPosterior

_SHARE = 0.15  # Of the blend that a window must have in a voxel to be computed there.


@dataclass(frozen=True, eq=False)
class SelectiveMCDropout:
    """Monte-Carlo dropout of a network whose dropout lies deep.

    Attributes:
        loaded: A network and its card.
        target: Which of the network's targets; None is its first.
        inference: How it is computed.
        doubt: Entropy in nats from which a voxel is drawn for; 0 draws everywhere.
        together: How many draws are computed at once.

    Raises:
        WeightsRejected: The network does not outline the target, or its dropout does not lie deep.
    """

    loaded: Loaded
    target: Target | None = None
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    doubt: float = 0.03
    together: int = 10

    def __post_init__(self) -> None:
        _ = self._plain
        if not fit_for(self.loaded):
            raise WeightsRejected(
                self.loaded.card.name,
                expected="a network whose dropout lies at the deepest levels alone",
                found=f"dropout {self.loaded.network.config.dropout}",
                do="draw everywhere: InferenceConfig(dense_draws=True)",
            )

    @property
    def _plain(self) -> SampledPosterior:
        return SampledPosterior(self.loaded, MCDropout(), self.target, self.inference)

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the network outlines."""
        return self._plain.targets

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed: the weights, dropout, and where it is drawn."""
        return {**self._plain.state, "drawn_from_entropy": self.doubt}

    @property
    def methods(self) -> tuple[object, ...]:
        """What a manifest names the papers of."""
        return (MCDropout,)

    def sampler(self, case: Case) -> Sampler:
        """The case without chance, ready for draws."""
        guidance = self._doubts(case)
        return lambda generator: next(guidance.volumes([generator], 1))

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``inference.protocols.Posterior.draws``."""
        require_some(n)
        guidance = self._doubts(case)
        groups = in_groups(children(generator, n), self.together)
        return itertools.chain.from_iterable(guidance.volumes(group, self.together) for group in groups)

    def deterministic(self, case: Case) -> Volume:
        """The probability volume of the network without chance."""
        return self._plain.deterministic(case)

    def _doubts(self, case: Case) -> "DeterministicPass":
        channel = 0 if self.target is None else self.targets.index(self.target)
        return DeterministicPass(WindowedInference(case, self.loaded, "decoder", channel, self.inference), self.doubt)


def fit_for(loaded: Loaded) -> bool:
    """Whether a network can be drawn from at some voxels only."""
    return bool(getattr(loaded.network, "supports_sparse_decoding", False))


def in_groups(of: Iterator[np.random.Generator], size: int) -> Iterator[list[np.random.Generator]]:
    """Lists of so many, the last one perhaps shorter; no more are taken than are yielded."""
    while group := list(itertools.islice(of, size)):
        yield group


@dataclass(frozen=True, eq=False)
class UncertainVoxels:
    """The doubted voxels of one window.

    Attributes:
        window: Its number.
        box: Where it lies in the volume.
        wanted: (side, side, side), bool.
        weight: (N,), the window's share of the blend in each.
        sites: What the network must compute for them.
    """

    window: int
    box: Box
    wanted: np.ndarray
    weight: np.ndarray
    sites: Any


class DeterministicPass:
    """A case without chance, and where it is doubted."""

    def __init__(self, run: WindowedInference, doubt: float) -> None:
        self.run = run
        self.windows: dict[int, Any] = {}
        self.whole = run.view.windows.blended(self._without_chance(n) for n in range(len(run.boxes)))
        self.guidance = self._found(_doubted(self.whole, run.view.within, doubt))
        used = {d.window for d in self.guidance}
        self.windows = {number: window for number, window in self.windows.items() if number in used}

    def volumes(self, generators: Sequence[np.random.Generator], together: int) -> Iterator[Volume]:
        """A draw for each generator, which are computed at once.

        ``together`` networks are computed whatever the number of generators, since rounding depends on it.
        """
        network: Any = self.run.network
        masks = [network.sample_dropout_masks(generator) for generator in generators]
        masks += [masks[-1]] * (together - len(masks))
        kept = tuple(torch.stack(site).to(self.run.device) for site in zip(*masks, strict=True))
        changes = [self._changes(doubt, kept) for doubt in self.guidance]
        for number in range(len(generators)):
            volume = self.whole.copy()
            for doubt, change in zip(self.guidance, changes, strict=True):
                volume[doubt.box][doubt.wanted] += change[number]
            yield self.run.view.restored(np.clip(volume, 0.0, 1.0, out=volume))

    @torch.inference_mode()
    def _changes(self, doubt: UncertainVoxels, kept: tuple[torch.Tensor, ...]) -> np.ndarray:
        """By how much each draw changes the volume in the doubted voxels of a window, (draws, N)."""
        network: Any = self.run.network
        channel = self.run.channel
        with autocast(self.run.how.precision, self.run.device):
            window = self._window(doubt.window)
            drawn = network.at(window, network.deep(window, kept), doubt.sites)[:, channel].float().sigmoid()
        wanted = torch.from_numpy(doubt.wanted).to(drawn.device)
        change = drawn - window.logits[0, channel][wanted].float().sigmoid()
        weighted: np.ndarray = change.cpu().numpy() * doubt.weight
        return weighted

    @torch.inference_mode()
    def _without_chance(self, number: int) -> np.ndarray:
        with autocast(self.run.how.precision, self.run.device):
            window = self._window(number)
        piece: np.ndarray = window.logits[0, self.run.channel].float().sigmoid().cpu().numpy()
        return piece

    def _window(self, number: int) -> Any:
        if number in self.windows:
            return self.windows[number]
        network: Any = self.run.network
        window = network.deterministic_window(self.run.window(number).features)
        if number in self.run.kept:
            self.windows[number] = window
        return window

    def _found(self, doubted: np.ndarray) -> list[UncertainVoxels]:
        """The doubted voxels of each window that has a share in them."""
        bell = gaussian_bell(self.run.view.windows.side)
        total = np.zeros(doubted.shape, dtype=np.float32)
        for box in self.run.boxes:
            total[box] += bell
        found = []
        for number, box in enumerate(self.run.boxes):
            share = bell / total[box]
            wanted = doubted[box] & (share >= _SHARE)
            if wanted.any():
                found.append(UncertainVoxels(number, box, wanted, share[wanted], self._sites(number, wanted)))
        return found

    @torch.inference_mode()
    def _sites(self, number: int, wanted: np.ndarray) -> Any:
        network: Any = self.run.network
        with autocast(self.run.how.precision, self.run.device):
            return network.sites(self._window(number), wanted)


def _doubted(probability: Volume, within: np.ndarray, doubt: float) -> np.ndarray:
    p = np.clip(probability.astype(np.float64), 1e-9, 1.0 - 1e-9)
    entropy = -(p * np.log(p) + (1.0 - p) * np.log1p(-p))
    doubted: np.ndarray = (entropy >= doubt) & within
    return doubted
