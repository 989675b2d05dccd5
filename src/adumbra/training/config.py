"""What a training depends on, as one value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, get_args

from adumbra.core.errors import InputRejected
from adumbra.core.options import Guide
from adumbra.core.types import Target
from adumbra.diffusion.regulariser import RegulariserConfig
from adumbra.inference.device import DeviceName, Precision
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.unet import UNetConfig
from adumbra.training.augment import Augmentation
from adumbra.training.cache import CacheConfig
from adumbra.training.options import TrainedPosterior, UncertaintyLoss

# Names of ``TrainConfig`` that say how a training runs, not what it is: these may change when it is resumed.
_FREE = ("precision", "device", "threads", "workers", "first_pass_dir", "checkpoint_every", "validate_every")


@dataclass(frozen=True)
class TargetDefaults:
    """What a target is learned from.

    Attributes:
        network: Its modalities, and how large it is.
        spacing_mm: Of the isotropic grid: fine enough for the target.
        hard_voxel_fraction: Share of the voxels that the loss looks at again, see ``losses.region_balanced``.
    """

    network: UNetConfig
    spacing_mm: float
    hard_voxel_fraction: float


DEFAULT_TRAINING: Mapping[Target, TargetDefaults] = {
    "lesion": TargetDefaults(UNetConfig(), 2.0, 0.01),
    "thrombus": TargetDefaults(
        UNetConfig(modalities=("swi", "phase", "tof", "dwi"), targets=("thrombus",)), 1.0, 0.001
    ),
}
"""The usual network of each target; TOF and DWI are brought onto the slices of the susceptibility-weighted image."""


def network_for(posterior: TrainedPosterior, network: UNetConfig) -> UNetConfig:
    """The config that a posterior needs of a network.

    Raises:
        InputRejected: The network cannot have it.
    """
    able = get_args(TrainedPosterior)
    if type(network) is not UNetConfig:
        able = (
            ("dropout",) if isinstance(network, MaskDenoiserConfig) else ("dropout", "laplace", "deterministic", "swag")
        )
    if posterior not in able:
        raise InputRejected(
            "posterior",
            expected=f"{' or '.join(able)} for this network",
            found=posterior,
            do="choose one of these, or --backbone unet --fusion early",
        )
    if posterior == "dropout-everywhere":
        return replace(network, dropout=everywhere(network))
    return replace(network, **_ASKED.get(posterior, {}))  # type: ignore[arg-type]


_ASKED: Mapping[str, Mapping[str, object]] = {
    "heteroscedastic": {"noise_rank": 0},
    "deterministic": {"dropout": 0.0},
    "stochastic-segmentation": {"noise_rank": 8},
    "variational": {"dropout": 0.0},  # its own noise is what the weights must bear
}


def everywhere(network: UNetConfig) -> tuple[float, ...]:
    """Rates of each level: the usual at the two deepest, half of it at those above, which see the details."""
    if isinstance(network.dropout, tuple):
        return network.dropout
    return (*[0.5 * network.dropout] * (len(network.widths) - 2), network.dropout, network.dropout)


@dataclass(frozen=True)
class CrossFit:
    """How the doubt that guides a training is made, see ``training.crossfit``.

    Attributes:
        folds: Each case is read by the network of the folds that it is not in.
        steps: Of each first network.
        draws: Of the first reading.
        seed: Of the first networks and their draws.
    """

    folds: int = 3
    steps: int = 3000
    draws: int = 4
    seed: int = 0


@dataclass(frozen=True)
class TrainConfig:
    """All that a training depends on; the second group changes how it runs, not what it reaches.

    Attributes:
        network: The U-Net's config: modalities, targets, widths, dropout.
        steps: Optimiser steps in all; the cosine ends with them.
        batch: Patches a step.
        patch: Side of a patch, in voxels; a multiple of ``network.multiple``.
        spacing_mm: Of the isotropic grid.
        learning_rate: The highest, after the warm-up.
        warmup: Steps of linear warm-up.
        weight_decay: Of AdamW, on convolutions only.
        clip: Largest norm of the gradient.
        ema_decay: Decay of the weights' moving average, at most; it is ramped up from 0.
        held_out: So many cases are not trained on but measured: the last ones, unless ``fold`` says otherwise.
        fold: Which block of ``held_out`` cases that is, counted from the end; members of an ensemble differ in it.
        guide: What stands for the doubt of a first reading, of ``fusion.guidance.GUIDES``: it guides a guided network,
            says where images are blurred, and softens the loss.
        cross: How that is made.
        regulariser: A diffusion model that shares the encoder; None has none.
        uncertainty_loss: What doubt does to the loss.
        missing_ramp: Share of the steps over which the chance that a modality is left out rises from 0 to its rate.
        posterior: What the training leaves to draw from, see ``training.objective`` and ``training.fitting``; the
            network must be ``network_for`` it.
        threshold: For the card: the probability from which a voxel is called part of the target.
        hard_voxel_fraction: Share of the voxels that the loss looks at again.
        seed: Of everything.
        augmentation: How patches are changed.
        registration: Whether scans on different grids are registered.
        initial: Weights to begin with (a shipped name or a file); empty begins at random.
        precision: ``"auto"`` is bfloat16 where the hardware has it.
        device: ``"auto"`` takes a GPU where there is one.
        threads: For computing; 0 leaves torch's own choice.
        workers: Processes that prepare cases.
        first_pass_dir: Folder of the first networks and their maps; empty is inside the training's own.
        checkpoint_every: Steps between checkpoints.
        validate_every: Steps between measurements on the held-out cases, which are measured at the end too; 0 never
            measures them.
    """

    network: UNetConfig = field(default_factory=UNetConfig)
    steps: int = 6000
    batch: int = 4
    patch: int = 48
    spacing_mm: float = 2.0
    learning_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 1e-3
    clip: float = 1.0
    ema_decay: float = 0.998
    held_out: int = 8
    fold: int = 0
    guide: Guide = "none"
    cross: CrossFit = field(default_factory=CrossFit)
    regulariser: RegulariserConfig | None = None
    uncertainty_loss: UncertaintyLoss = "none"
    missing_ramp: float = 0.0
    posterior: TrainedPosterior = "dropout"
    threshold: float = 0.5
    hard_voxel_fraction: float = 0.01
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    registration: Literal["auto", "never"] = "auto"
    initial: str = ""

    precision: Precision = "auto"
    device: DeviceName = "auto"
    threads: int = 0
    workers: int = 2
    first_pass_dir: str = ""
    checkpoint_every: int = 100
    validate_every: int = 500

    @property
    def cache(self) -> CacheConfig:
        """What the cache files depend on."""
        network = self.network
        return CacheConfig(
            modalities=network.modalities,
            targets=network.targets,
            registration=self.registration,
            spacing_mm=self.spacing_mm,
            least_side=self.patch,
        )

    @property
    def uses_uncertainty(self) -> bool:
        """Whether anything in the training asks for the doubt of a first reading."""
        blurred = self.regulariser is not None and self.regulariser.blur.uses_uncertainty
        return self.network.guidance_channels > 0 or blurred or self.uncertainty_loss != "none"

    def identity(self) -> dict[str, object]:
        """The options that the result depends on, as plain values."""
        return {name: value for name, value in asdict(self).items() if name not in _FREE}
