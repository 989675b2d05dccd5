"""A network with a chance: the part before it is computed once a window, the part from it on for every draw.

A draw is *one* network (or one noise, one view) in all windows of a volume: a fresh one in every window would tile the
volume with different networks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from adumbra.case import Case
from adumbra.errors import WeightsRejected
from adumbra.posterior.base import Chance, Loaded, Realisation, Sampler, Window
from adumbra.posterior.machine import DeviceName, Precision, autocast, chosen_device, use_threads
from adumbra.posterior.view import View, view_of
from adumbra.shapes import Target, Volume


@dataclass(frozen=True)
class Running:
    """How volumes are computed; it changes what they cost, and by rounding what they are.

    Attributes:
        side: Of the windows, in voxels; None is what the card says: its window, or its patch.
        overlap: Least share of a side that neighbouring windows have in common.
        precision: ``"auto"`` is bfloat16 where the hardware has it. Blending and what follows is float32.
        device: ``"auto"`` takes a GPU where there is one.
        kept_gb: Most memory for what is kept of the parts before the chance; beyond it they are computed again.
        threads: Of the processor; None leaves torch's own choice.
    """

    side: int | None = None
    overlap: float = 0.25
    precision: Precision = "auto"
    device: DeviceName = "auto"
    kept_gb: float = 1.0
    threads: int | None = None


@dataclass(frozen=True, eq=False)
class Sampled:
    """The posterior of one network under one approximation.

    Attributes:
        loaded: A network and its card.
        chance: What differs between draws.
        target: Which of the network's targets; None is its first.
        running: How it is computed.

    Raises:
        WeightsRejected: The network does not outline the target, or the chance is not one of these weights.
    """

    loaded: Loaded
    chance: Chance
    target: Target | None = None
    running: Running = field(default_factory=Running)

    def __post_init__(self) -> None:
        if self.target is not None and self.target not in self.targets:
            raise WeightsRejected(
                self.loaded.card.name,
                expected=f"weights that outline the {self.target}",
                found=f"weights for {', '.join(self.targets)}",
                do="give the weights of that target",
            )
        self.chance.part(self.loaded)  # so that weights it cannot use are refused here

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the network outlines."""
        return tuple(self.loaded.network.config.targets)

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed: the weights and the approximation."""
        card = self.loaded.card
        return {"weights": card.sha256, "from": self.chance.part(self.loaded), **self.chance.state}

    @property
    def methods(self) -> tuple[object, ...]:
        """What a manifest names the papers of."""
        return (type(self.chance),)

    def sampler(self, case: Case) -> Sampler:
        """The case's windows, ready for draws."""
        run = _Run(self, case)
        return lambda generator: run.probability(self.chance.drawn(run.network, generator, run.shape))

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``posterior.base.Posterior.draws``. What is wrong is said at the call."""
        require_some(n)
        return map(self.sampler(case), children(generator, n))

    def deterministic(self, case: Case) -> Volume:
        """The probability volume of the network without chance."""
        run = _Run(self, case)
        return run.probability(lambda network, window: network(window.features, window.present, part=run.part))


def children(generator: np.random.Generator, n: int) -> Iterator[np.random.Generator]:
    """``n`` generators of their own; later calls with the same generator go on where this one ends."""
    return (generator.spawn(1)[0] for _ in range(n))


def require_some(n: int) -> None:
    """Refuses to draw nothing."""
    if n < 1:
        raise ValueError(f"n: expected at least 1 draw, found {n}; ask for 20, or call deterministic()")


class _Run:
    """A case's windows before the chance, ready for draws."""

    def __init__(self, posterior: Sampled, case: Case) -> None:
        self.posterior, how = posterior, posterior.running
        self.part = posterior.chance.part(posterior.loaded)
        network, card = posterior.loaded.network, posterior.loaded.card
        side = how.side or card.window or card.patch
        self.view: View = view_of(case, network.config, spacing_mm=card.spacing_mm, side=side, overlap=how.overlap)
        use_threads(how.threads)
        self.device = chosen_device(how.device)
        self.network = network.to(self.device)  # type: ignore[attr-defined]  # a torch module
        self.channel = 0 if posterior.target is None else posterior.targets.index(posterior.target)
        self.present = torch.from_numpy(self.view.present)[None].to(self.device)
        self.boxes = list(self.view.windows.boxes())
        self.kept: dict[int, Window] = {}
        self.kept_gb = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the part of the case that is looked at."""
        return self.view.windows.shape

    def probability(self, realisation: Realisation) -> Volume:
        """The whole probability volume of one draw."""
        pieces = (self._piece(number, realisation) for number in range(len(self.boxes)))
        return self.view.restored(self.view.windows.blended(pieces))

    # Inference mode is entered window by window: held across a yield it would leak into the caller's code.
    @torch.inference_mode()
    def _piece(self, number: int, realisation: Realisation) -> np.ndarray:
        with autocast(self.posterior.running.precision, self.device):
            logits = realisation(self.network, self._window(number))
        piece: np.ndarray = logits[0, self.channel].float().sigmoid().cpu().numpy()
        return piece

    def _window(self, number: int) -> Window:
        if number in self.kept:
            return self.kept[number]
        x, y, z = self.boxes[number]
        seen = torch.from_numpy(np.ascontiguousarray(self.view.channels[None, :, x, y, z])).to(self.device)
        features = self.network.until(self.part, seen, self.present)
        window = Window(features, self.present, self.boxes[number])
        size_gb = sum(f.numel() * f.element_size() for f in features) / 1e9
        if self.kept_gb + size_gb <= self.posterior.running.kept_gb:
            self.kept[number] = window
            self.kept_gb += size_gb
        return window
