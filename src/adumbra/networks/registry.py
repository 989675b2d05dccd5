"""The one place that knows the names of architectures and of the weights that ship with the package."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from torch import Tensor

from adumbra.core.errors import WeightsRejected
from adumbra.networks.crossmodal import CrossModal, CrossModalConfig, LateAverage, LateAverageConfig
from adumbra.networks.denoiser import MaskDenoiser, MaskDenoiserConfig
from adumbra.networks.unet import UNet, UNetConfig
from adumbra.networks.weights import FITTED, Card, load_into, read_weights

ARCHITECTURES: Mapping[str, tuple[type[UNetConfig], Callable[[Any], UNet]]] = {
    "unet": (UNetConfig, UNet),
    "crossmodal": (CrossModalConfig, CrossModal),
    "mask-denoiser": (MaskDenoiserConfig, MaskDenoiser),
    "late-average": (LateAverageConfig, LateAverage),
}
"""By name: the config, and the network that is built of it."""
RELEASED: tuple[str, ...] = ("lesion", "thrombus")


def architecture_of(config: UNetConfig) -> str:
    """The name of the architecture that a config is of."""
    return next(name for name, (kind, _) in ARCHITECTURES.items() if type(config) is kind)


def network_of(config: UNetConfig) -> UNet:
    """An untrained network of a config."""
    return ARCHITECTURES[architecture_of(config)][1](config)


def transferred_weights(known: Mapping[str, Tensor], network: UNet) -> dict[str, Tensor]:
    """What a network begins with when it goes on from weights that may be another architecture's.

    A plain U-Net's encoder becomes that of all modalities together. What attends or sees a modality alone is as it was,
    and so are the head that predicts noise and a mask denoiser's decoder. Weights that do not fit are returned as they
    are, for ``weights.load_into`` to refuse.
    """
    own = network.state_dict()
    named = {n if n in own else n.replace("encoder.", "encoder.together.", 1): t for n, t in known.items()}
    fitting = {n: t for n, t in named.items() if n in own and t.shape == own[n].shape}
    replaced = {"noise"}
    if isinstance(network, CrossModal) and network.config.primary is not None:
        replaced.add("encoder")
    if isinstance(network, MaskDenoiser):
        replaced.add("decoder")
    lost = {n.split(".")[0] for n in named.keys() - fitting.keys()}
    fresh = {n.split(".")[0] for n in own.keys() - fitting.keys()} if type(network) in (UNet, LateAverage) else set()
    return own | fitting if lost <= replaced and fresh <= replaced else dict(known)


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network ready to predict.

    Attributes:
        network: In evaluation mode, float32.
        card: What its weights are.
        fitted: Tensors of the posterior that was fitted to them, float32, by name; ``card.posterior`` says which.
        calibration: The file beside the weights, ``<name>.calibration.json``; None where there is none.
        first: Of a guided network: whose reading guides it, from ``<name>.first.safetensors`` beside the weights.
    """

    network: UNet
    card: Card
    fitted: Mapping[str, Tensor] = field(default_factory=dict)
    calibration: Path | None = None
    first: "LoadedNetwork | None" = None

    @property
    def plain(self) -> UNet | None:
        """A U-Net that nothing guides: the network itself, or that of its first reading; None where neither is one."""
        network = self.network if self.first is None else self.first.network
        return network if type(network) is UNet else None


def load(name_or_path: str | Path) -> LoadedNetwork:
    """The network of shipped weights, or of a file.

    Args:
        name_or_path: A name of ``RELEASED``, or a ``.safetensors`` file of a training.

    Raises:
        WeightsRejected: No such weights, or the file is not what it should be.
    """
    if str(name_or_path) in RELEASED:
        return _shipped(str(name_or_path))
    path = Path(name_or_path)
    if not path.is_file():
        raise WeightsRejected(
            path.name,
            expected=f"one of the shipped weights ({', '.join(RELEASED)}), or a file",
            found="neither",
            do="check the spelling or the path",
        )
    return _built(path, name="", sha256="")


def _shipped(name: str) -> LoadedNetwork:
    folder = resources.files("adumbra.networks") / "weights"
    with resources.as_file(folder / f"{name}.safetensors") as path:
        card = folder / f"{name}.json"
        if not path.is_file() or not card.is_file():
            raise WeightsRejected(
                name, expected="the weights that ship with the package", found="no such file", do="install it again"
            )
        return _built(path, name=name, sha256=json.loads(card.read_text("utf-8"))["sha256"])


def _built(path: Path, *, name: str, sha256: str) -> LoadedNetwork:
    tensors, card = read_weights(path, name=name, sha256=sha256)
    if card.architecture not in ARCHITECTURES:
        raise WeightsRejected(
            path.name,
            expected=f"an architecture among {', '.join(ARCHITECTURES)}",
            found=card.architecture,
            do="install the version of adumbra that trained it",
        )
    network = network_of(ARCHITECTURES[card.architecture][0].from_json(card.config))
    own = {name: t for name, t in tensors.items() if not name.startswith(FITTED)}
    fitted = {name.removeprefix(FITTED): t for name, t in tensors.items() if name.startswith(FITTED)}
    load_into(network, own, path)
    beside = path.with_name(f"{path.stem}.calibration.json")
    calibration = beside if beside.is_file() else None
    first = _built(path.with_name(f"{path.stem}.first.safetensors"), name="", sha256="") if _guided(network) else None
    return LoadedNetwork(network.eval().requires_grad_(False), card, fitted, calibration, first)


def _guided(network: UNet) -> bool:
    return network.config.guidance_channels > 0
