"""The one place that knows the names of architectures, and of the released weights."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from adumbra.core.errors import WeightsRejected
from adumbra.core.types import MODALITIES, Target
from adumbra.networks.crossmodal import CrossModal, CrossModalConfig, LateAverage, LateAverageConfig
from adumbra.networks.denoiser import MaskDenoiser, MaskDenoiserConfig
from adumbra.networks.second_look import SecondLookConfig, SecondLookNetwork
from adumbra.networks.strided import StridedUNet, StridedUNetConfig
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import FITTED, Card, load_into, read_weights


@dataclass(frozen=True)
class Architecture:
    """A network class with its config.

    Attributes:
        config: The config class.
        build: An untrained network from such a config.
        replaced: Parts that start from scratch when a network is fine-tuned from weights of another architecture.
        exact: Whether all other parts must come from those weights.
    """

    config: type[UNetConfig]
    build: Callable[[UNetConfig], UNet]
    replaced: frozenset[str] = frozenset({"noise"})
    exact: bool = False


ARCHITECTURES: Mapping[str, Architecture] = {
    "unet": Architecture(UNetConfig, UNet, exact=True),
    "strided-unet": Architecture(StridedUNetConfig, StridedUNet, exact=True),
    "crossmodal": Architecture(CrossModalConfig, CrossModal),  # type: ignore[arg-type]  # built from its own config
    "mask-denoiser": Architecture(
        MaskDenoiserConfig,
        MaskDenoiser,  # type: ignore[arg-type]
        frozenset({"noise", "decoder"}),
    ),
    "late-average": Architecture(LateAverageConfig, LateAverage, exact=True),
    "second-look": Architecture(SecondLookConfig, SecondLookNetwork, exact=True),
}
"""Architectures by name."""
DEFAULT_WEIGHTS: Mapping[Target, tuple[str, ...]] = {
    "lesion": ("lesion-1", "lesion-2", "lesion-3", "lesion-4", "lesion-5"),
    "thrombus": ("thrombus-1", "thrombus-2", "thrombus-3"),
}
"""Names of the weights that segment each target by default; several are the members of a deep ensemble."""
SINGLE_WEIGHTS: Mapping[Target, tuple[str, ...]] = {"lesion": ("lesion",), "thrombus": ("thrombus",)}
"""Name of the one network of each target, from which a posterior that is named explicitly draws."""
RELEASED: tuple[str, ...] = tuple(
    dict.fromkeys(name for target in SINGLE_WEIGHTS for name in (*SINGLE_WEIGHTS[target], *DEFAULT_WEIGHTS[target]))
)
"""Names of the weights that are part of the package."""


def architecture_of(config: UNetConfig) -> str:
    """The name of the architecture that a config belongs to."""
    return next(name for name, architecture in ARCHITECTURES.items() if type(config) is architecture.config)


def network_of(config: UNetConfig) -> UNet:
    """An untrained network of a config."""
    return ARCHITECTURES[architecture_of(config)].build(config)


HEAD = "decoder.head."
"""Prefix of the parameters that give the targets their rows."""


def transferred_weights(source: Mapping[str, Tensor], network: UNet) -> dict[str, Tensor]:
    """Initial weights of a network that is fine-tuned from weights of the same or another architecture.

    The encoder of a plain U-Net becomes the encoder of all modalities together. Attention and encoders of single
    modalities start from scratch, and so do the head that predicts noise and the decoder of a mask denoiser. Weights
    that do not fit are returned as they are, for ``weights.load_into`` to refuse. Where the network has further targets
    behind those of the source, its head keeps the rows of the source; the caller knows that they are the same targets.
    """
    architecture, own = ARCHITECTURES[architecture_of(network.config)], network.state_dict()
    named = {n if n in own else n.replace("encoder.", "encoder.joint.", 1): t for n, t in source.items()}
    if network.config.mirrored or network.config.context:
        named = {n: _with_further_channels(t, own[n]) if n in own else t for n, t in named.items()}
    named = {n: _with_further_targets(t, own[n]) if n in own and n.startswith(HEAD) else t for n, t in named.items()}
    fitting = {n: t for n, t in named.items() if n in own and t.shape == own[n].shape}
    replaced = set(architecture.replaced)
    if not network.config.has_joint_encoder:
        replaced.add("encoder")
    lost = {n.split(".")[0] for n in named.keys() - fitting.keys()}
    fresh = {n.split(".")[0] for n in own.keys() - fitting.keys()} if architecture.exact else set()
    return own | fitting if lost <= replaced and fresh <= replaced else dict(source)


def _with_further_channels(weight: Tensor, own: Tensor) -> Tensor:
    """The weight of a first convolution with zeros for mirror images and context, which begin without influence."""
    missing = own.shape[1] - weight.shape[1] if weight.ndim == own.ndim > 1 else 0
    if missing <= 0 or weight.shape[:1] + weight.shape[2:] != own.shape[:1] + own.shape[2:]:
        return weight
    return torch.cat([weight, torch.zeros_like(own[:, :missing], dtype=weight.dtype)], dim=1)


def _with_further_targets(weight: Tensor, own: Tensor) -> Tensor:
    """The weight of a head, with the network's own rows for the targets that the source lacks."""
    if weight.ndim != own.ndim or weight.shape[1:] != own.shape[1:] or len(weight) >= len(own):
        return weight
    return torch.cat([weight, own[len(weight) :].to(weight.dtype)])


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A trained network with its card.

    Attributes:
        network: In evaluation mode, float32.
        card: Facts of its weights.
        fitted: Tensors of the posterior that was fitted to the weights, float32, by name; ``card.posterior`` names it.
        calibration: The file beside the weights, ``<name>.calibration.json``; None where there is none.
        first_pass: Network of the first pass of a guided network: ``<name>.first.safetensors`` beside the weights.
        second_look: Weights of a second look at candidates, ``<name>.second-look.safetensors`` beside the weights; None
            where there are none.
        decision: The file beside the weights of a second look, ``<name>.decision.json``; None where there is none.
    """

    network: UNet
    card: Card
    fitted: Mapping[str, Tensor] = field(default_factory=dict)
    calibration: Path | None = None
    first_pass: "LoadedNetwork | None" = None
    second_look: Path | None = None
    decision: Path | None = None

    @property
    def plain(self) -> UNet | None:
        """The plain U-Net that new trainings can be fine-tuned from: the network itself, or that of its first pass.

        None where neither is a plain U-Net.
        """
        network = self.network if self.first_pass is None else self.first_pass.network
        return network if architecture_of(network.config) == "unet" else None


def load(name_or_path: str | Path) -> LoadedNetwork:
    """The network of released weights, or of a file.

    Args:
        name_or_path: A name of ``RELEASED``, or a ``.safetensors`` file of a training.

    Raises:
        WeightsRejected: No such weights, or the file is not what it should be.
    """
    if str(name_or_path) in RELEASED:
        return _released(str(name_or_path))
    path = Path(name_or_path)
    if not path.is_file():
        raise WeightsRejected(
            path.name,
            expected=f"one of the released weights ({', '.join(RELEASED)}), or a file",
            found="neither",
            do="check the spelling or the path",
        )
    return _built(path, name="", sha256="")


def _released(name: str) -> LoadedNetwork:
    folder = resources.files("adumbra.networks") / "weights"
    with resources.as_file(folder / f"{name}.safetensors") as path:
        card = folder / f"{name}.json"
        if not path.is_file() or not card.is_file():
            raise WeightsRejected(
                name, expected="weights that are part of the package", found="no such file", do="install adumbra again"
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
    _require_known_modalities(path, card)
    try:
        config = ARCHITECTURES[card.architecture].config.from_json(card.config)
    except (TypeError, ValueError) as error:
        raise WeightsRejected(
            path.name,
            expected=f"a config of the architecture {card.architecture}",
            found=str(error),
            do="install the version of adumbra that trained it, or correct its card",
        ) from error
    network = network_of(config)
    own = {name: t for name, t in tensors.items() if not name.startswith(FITTED)}
    fitted = {name.removeprefix(FITTED): t for name, t in tensors.items() if name.startswith(FITTED)}
    load_into(network, own, path)
    first_pass = None
    if network.config.guidance_channels:
        first_pass = _built(path.with_name(f"{path.stem}.first.safetensors"), name="", sha256="")
    files = (_beside(path, end) for end in ("second-look.safetensors", "decision.json"))
    calibration = _beside(path, "calibration.json")
    return LoadedNetwork(network.eval().requires_grad_(False), card, fitted, calibration, first_pass, *files)


def _beside(path: Path, end: str) -> Path | None:
    """The file of the same name with another end; None where there is none."""
    beside = path.with_name(f"{path.stem}.{end}")
    return beside if beside.is_file() else None


def _require_known_modalities(path: Path, card: Card) -> None:
    """Refuses weights with an input that no case has: it would be missing in every case."""
    stated = card.config.get("modalities")
    unknown = [m for m in stated if m not in MODALITIES] if isinstance(stated, list | tuple) else []
    if unknown:
        raise WeightsRejected(
            path.name,
            expected=f"input modalities among {', '.join(MODALITIES)}",
            found=", ".join(map(str, unknown)),
            do="install the version of adumbra that trained it, or correct its card",
        )
