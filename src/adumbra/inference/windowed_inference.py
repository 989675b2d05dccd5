"""A case on its way through a network: how it is computed, and its windows before the part that holds the chance."""

from dataclasses import dataclass

import numpy as np
import torch

from adumbra.core.case import Case
from adumbra.core.types import Volume
from adumbra.inference.device import DeviceName, Precision, autocast, chosen_device, use_threads
from adumbra.inference.model_input import ModelInput, model_input
from adumbra.inference.protocols import Loaded, NetworkStage, Realisation, Window


@dataclass(frozen=True)
class InferenceConfig:
    """How volumes are computed; it changes what they cost, and by rounding what they are.

    Attributes:
        side: Of the windows, in voxels; None is what the card says: its window, or its patch.
        overlap: Least share of a side that neighbouring windows have in common.
        precision: ``"auto"`` is bfloat16 where the hardware has it. Blending and what follows is float32.
        device: ``"auto"`` takes a GPU where there is one.
        kept_gb: Most memory for what is kept of the parts before the chance; beyond it they are computed again.
        dense_draws: Draw in whole windows, even where draws only where there is doubt would do, see ``doubtful``.
        threads: Of the processor; None leaves torch's own choice.
    """

    side: int | None = None
    overlap: float = 0.25
    precision: Precision = "auto"
    device: DeviceName = "auto"
    kept_gb: float = 1.0
    dense_draws: bool = False
    threads: int | None = None


class WindowedInference:
    """A case's windows before the part with the chance, which are computed when they are first asked for.

    Args:
        case: See ``base.Posterior.draws``, with the errors.
        loaded: The network.
        part: The first with chance.
        channel: Which of the network's targets.
        how: It is computed.
    """

    def __init__(self, case: Case, loaded: Loaded, part: NetworkStage, channel: int, how: InferenceConfig) -> None:
        self.part, self.channel, self.how = part, channel, how
        network, card = loaded.network, loaded.card
        side = how.side or card.window or card.patch
        self.view: ModelInput = model_input(
            case, network.config, spacing_mm=card.spacing_mm, side=side, overlap=how.overlap
        )
        use_threads(how.threads)
        self.device = chosen_device(how.device)
        self.network = network.to(self.device)  # type: ignore[attr-defined]  # a torch module
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
        with autocast(self.how.precision, self.device):
            logits = realisation(self.network, self.window(number))
        piece: np.ndarray = logits[0, self.channel].float().sigmoid().cpu().numpy()
        return piece

    def window(self, number: int) -> Window:
        """What the part is given; within inference mode and autocast, as ``probability`` has them."""
        if number in self.kept:
            return self.kept[number]
        x, y, z = self.boxes[number]
        seen = torch.from_numpy(np.ascontiguousarray(self.view.channels[None, :, x, y, z])).to(self.device)
        features = self.network.features_before(self.part, seen, self.present)
        window = Window(features, self.present, self.boxes[number])
        size_gb = sum(f.numel() * f.element_size() for f in features) / 1e9
        if self.kept_gb + size_gb <= self.how.kept_gb:
            self.kept[number] = window
            self.kept_gb += size_gb
        return window
