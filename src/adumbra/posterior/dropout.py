"""Monte-Carlo dropout: every draw is one network with some channels switched off.

Gal & Ghahramani, ICML 2016; whole channels as in Tompson et al., CVPR 2015. The dropout lies behind the encoder, so the
encoder is computed once per window and its features are kept for all draws. A draw's masks are the same in all windows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adumbra.case import Case
from adumbra.posterior.base import Loaded
from adumbra.posterior.machine import DeviceName, Precision, autocast, chosen_device, use_threads
from adumbra.posterior.view import View, view_of
from adumbra.references import cites
from adumbra.shapes import Target, Volume

Features = tuple[Tensor, ...]


@cites("Gal2016")
@dataclass(frozen=True, eq=False)
class MCDropout:
    """Draws by channel dropout.

    Attributes:
        loaded: A network and its card.
        target: Which of the network's targets; None is its first.
        side: Of the windows, in voxels; None is what the card says: its window, or its patch.
        overlap: Least share of a side that neighbouring windows have in common.
        precision: ``"auto"`` is bfloat16 where the hardware has it. Blending and what follows is float32.
        device: ``"auto"`` takes a GPU where there is one.
        threads: Of the processor; None leaves torch's own choice.
        kept_gb: Most memory for kept features; beyond it the encoder is computed again for every draw.
    """

    loaded: Loaded
    target: Target | None = None
    side: int | None = None
    overlap: float = 0.25
    precision: Precision = "auto"
    device: DeviceName = "auto"
    kept_gb: float = 1.0
    threads: int | None = None

    def sample(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``posterior.base.Posterior.sample``. What is wrong is said at the call."""
        if n < 1:
            raise ValueError(f"n: expected at least 1 draw, found {n}; ask for 20, or call deterministic()")
        encoded = self._encoded(case)
        masks = (self.loaded.network.decoder.drawn_masks(generator) for _ in range(n))
        return (encoded.probability(kept) for kept in masks)

    def deterministic(self, case: Case) -> Volume:
        """The probability volume with no channel dropped."""
        return self._encoded(case).probability(None)

    def _encoded(self, case: Case) -> "_Encoded":
        network, card = self.loaded.network, self.loaded.card
        side = self.side or card.window or card.patch
        view = view_of(case, network.config, spacing_mm=card.spacing_mm, side=side, overlap=self.overlap)
        return _Encoded(self, view)


class _Encoded:
    """A case's windows behind the encoder, ready for draws."""

    def __init__(self, how: MCDropout, view: View) -> None:
        self.how, self.view = how, view
        use_threads(how.threads)
        self.device = chosen_device(how.device)
        self.network = how.loaded.network
        self.network.encoder.to(self.device)
        self.network.decoder.to(self.device)
        targets = self.network.config.targets
        self.channel = 0 if how.target is None else targets.index(how.target)
        self.features: dict[int, Features] = {}

    def probability(self, kept: Sequence[Tensor] | None) -> Volume:
        """The whole probability volume under one draw's masks."""
        masks = None if kept is None else tuple(mask.to(self.device) for mask in kept)
        pieces = (self._piece(number, masks) for number in range(len(self.view.windows.corners)))
        return self.view.restored(self.view.windows.blended(pieces))

    # Inference mode is entered window by window: held across a yield it would leak into the caller's code.
    @torch.inference_mode()
    def _piece(self, number: int, kept: tuple[Tensor, ...] | None) -> np.ndarray:
        with autocast(self.how.precision, self.device):
            logits = self.network.decoder(self._features(number), kept)
        return logits[0, self.channel].float().sigmoid().cpu().numpy()

    def _features(self, number: int) -> Features:
        if number in self.features:
            return self.features[number]
        x, y, z = list(self.view.windows.boxes())[number]
        window = torch.from_numpy(np.ascontiguousarray(self.view.channels[None, :, x, y, z])).to(self.device)
        present = torch.from_numpy(self.view.present)[None].to(self.device)
        features: Features = self.network.encoder(window, present)
        size = sum(f.numel() * f.element_size() for f in features)
        if (len(self.features) + 1) * size <= self.how.kept_gb * 1e9:
            self.features[number] = features
        return features
