"""A case on its way through a network, window by window, up to the first stochastic stage."""

import numpy as np
import torch
from torch import Tensor, nn

from adumbra.core.case import Case
from adumbra.core.options import ComputeConfig
from adumbra.core.types import Channels, Target, Volume
from adumbra.inference.device import autocast, select_device, use_threads
from adumbra.inference.model_input import model_input
from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork, Window


class WindowedInference:
    """The windows of a case before a stage; each is computed when it is first needed.

    Args:
        case: See ``inference.posteriors.Posterior.prepare``, with its errors.
        trained: The network.
        stage: The first stochastic stage.
        target: The target to segment; None is the network's first.
        compute: How the network is applied.
        guidance: Guidance maps, for a guided network.
    """

    def __init__(
        self,
        case: Case,
        trained: TrainedNetwork,
        stage: NetworkStage,
        *,
        target: Target | None = None,
        compute: ComputeConfig | None = None,
        guidance: Channels | None = None,
    ) -> None:
        self.stage, self.compute = stage, compute or ComputeConfig()
        network, card = trained.network, trained.card
        self.channel = 0 if target is None else network.config.targets.index(target)
        self.input = model_input(
            case,
            network.config,
            spacing_mm=card.spacing_mm,
            side=self.compute.window or card.window or card.patch,
            overlap=self.compute.overlap,
            guidance=guidance,
        )
        use_threads(self.compute.threads)
        self.device = select_device(self.compute.device)
        self.network = _moved(network, self.device)
        self.present = torch.from_numpy(self.input.present)[None].to(self.device)
        self.boxes = list(self.input.windows.boxes())
        self.cached: dict[int, Window] = {}
        self.cached_gb = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the part of the case that the network sees."""
        return self.input.windows.shape

    def probability(self, realisation: Realisation) -> Volume:
        """The whole probability volume of one draw."""
        pieces = (self._piece(number, realisation) for number in range(len(self.boxes)))
        return self.input.restore(self.input.windows.blend(pieces))

    def deterministic(self) -> Volume:
        """The whole probability volume without dropout."""
        return self.probability(lambda network, window: network(window.features, window.present, stage=self.stage))

    # Inference mode is entered window by window: held across a yield it would leak into the caller's code.
    @torch.inference_mode()
    def _piece(self, number: int, realisation: Realisation) -> np.ndarray:
        with autocast(self.compute.precision, self.device):
            logits = realisation(self.network, self.window(number))
        piece: np.ndarray = logits[0, self.channel].float().sigmoid().cpu().numpy()
        return piece

    def images(self, number: int) -> Tensor:
        """The channels of a window, (1, C, X, Y, Z)."""
        x, y, z = self.boxes[number]
        return torch.from_numpy(np.ascontiguousarray(self.input.channels[None, :, x, y, z])).to(self.device)

    def window(self, number: int) -> Window:
        """A window before the stage; call it within inference mode and autocast, as ``probability`` does."""
        if number in self.cached:
            return self.cached[number]
        features = self.network.features_before(self.stage, self.images(number), self.present)
        window = Window(features, self.present, self.boxes[number])
        size_gb = sum(f.numel() * f.element_size() for f in features) / 1e9
        if self.cached_gb + size_gb <= self.compute.cache_gb:
            self.cached[number] = window
            self.cached_gb += size_gb
        return window


def _moved(network: SegmentationNetwork, device: torch.device) -> SegmentationNetwork:
    if isinstance(network, nn.Module):  # the protocol says what it computes, torch how it is moved
        network.to(device)
    return network
