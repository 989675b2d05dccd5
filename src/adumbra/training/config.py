"""The options of a training: small values, each handed to the code that needs it, composed in ``TrainConfig``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from adumbra.core.errors import InputRejected
from adumbra.core.legacy import without_later_defaults
from adumbra.core.options import Guide
from adumbra.core.targets import network_defaults
from adumbra.core.types import Target
from adumbra.diffusion.regulariser import RegulariserConfig
from adumbra.inference.device import DeviceName, Precision
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.augment import Augmentation
from adumbra.training.cache import CacheConfig
from adumbra.training.options import LossKind, TrainedPosterior, UncertaintyLoss


@dataclass(frozen=True)
class DataConfig:
    """The cases, and the patches that are sampled from them.

    Attributes:
        spacing_mm: Spacing of the isotropic grid, in millimetres.
        patch: Side of a patch, in voxels; a multiple of ``UNetConfig.multiple``.
        batch: Number of patches in a step.
        held_out: Number of cases that are held out for validation.
        fold: Which block of ``held_out`` cases is held out, counted from the end of the list; the members of an
            ensemble differ in it.
        registration: Whether scans on different grids are registered.
        augmentation: Random changes to the patches.
        missing_ramp: Share of the steps over which the rate of omitted modalities rises from 0 to its full value.
        annotators: Number of annotators of each case, see ``training.cache.CacheConfig``; 0 uses the case's mask.
        annotator: Number of the annotator whose labels are used, from 1; 0 draws one for each patch.
    """

    spacing_mm: float = 2.0
    patch: int = 48
    batch: int = 4
    held_out: int = 8
    fold: int = 0
    registration: Literal["auto", "never"] = "auto"
    augmentation: Augmentation = field(default_factory=Augmentation)
    missing_ramp: float = 0.0
    annotators: int = 0
    annotator: int = 0


@dataclass(frozen=True)
class OptimiserConfig:
    """The optimiser, its schedule, and where it starts.

    Attributes:
        steps: Number of optimiser steps; the cosine schedule ends with the last one.
        learning_rate: Highest learning rate, reached after the warm-up.
        warmup: Number of steps of the linear warm-up.
        weight_decay: Weight decay of AdamW, applied to convolutions only.
        clip: Largest norm of the gradient.
        ema_decay: Highest decay of the moving average of the weights; the decay is ramped up from 0.
        initial: Weights to start from, a released name or a file; empty starts at random.
    """

    steps: int = 6000
    learning_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 1e-3
    clip: float = 1.0
    ema_decay: float = 0.998
    initial: str = ""


@dataclass(frozen=True)
class LossConfig:
    """The loss.

    Attributes:
        hard_voxel_fraction: Share of the voxels with the highest loss that count twice, see ``losses.region_balanced``;
            0 leaves the term out.
        uncertainty_loss: How the uncertainty of the first pass changes the segmentation loss.
        regulariser: A diffusion model of the images that shares the encoder; None trains without one.
        kind: The overlap term, see ``losses.overlap_loss``.
        component_share: Share of the component term in the overlap term, in [0, 1], where ``kind`` has one.
        tversky_alpha: Weight of false positives in the component-adaptive Tversky loss, in [0, 1]; false negatives
            have the rest.
    """

    hard_voxel_fraction: float = 0.01
    uncertainty_loss: UncertaintyLoss = "none"
    regulariser: RegulariserConfig | None = None
    kind: LossKind = "region-balanced"
    component_share: float = 0.5
    tversky_alpha: float = 0.3

    @property
    def uses_uncertainty(self) -> bool:
        """Whether a term of the loss needs the uncertainty of a first pass."""
        blurs = self.regulariser is not None and self.regulariser.blur.uses_uncertainty
        return blurs or self.uncertainty_loss != "none"


@dataclass(frozen=True)
class GuidanceConfig:
    """The guidance maps, and the cross-fitted first-pass networks that give them, see ``training.crossfit``.

    Attributes:
        guide: Kind of guidance map. The maps guide a guided network, set the width of the blur and change the loss.
        folds: Number of first-pass networks; each predicts the fold of the cases that it was not trained on.
        steps: Number of optimiser steps of each first-pass network.
        draws: Number of posterior draws of the first pass.
        seed: Seed of the first-pass networks and of their draws.
    """

    guide: Guide = "none"
    folds: int = 3
    steps: int = 3000
    draws: int = 4
    seed: int = 0


@dataclass(frozen=True)
class RuntimeConfig:
    """How a training runs. The result does not depend on it, so a resumed training may change it.

    Attributes:
        precision: Precision of the network; ``"auto"`` is bfloat16 where the hardware supports it.
        device: Device of the network; ``"auto"`` is a GPU where there is one.
        threads: Number of processor threads of torch; 0 leaves the choice to torch.
        workers: Number of processes that preprocess cases.
        first_pass_dir: Folder of the first-pass networks and their maps; empty is a folder inside the training's own.
        checkpoint_every: Number of steps between checkpoints.
        validate_every: Number of steps between validations on the held-out cases, which are also validated at the end;
            0 never validates them.
    """

    precision: Precision = "auto"
    device: DeviceName = "auto"
    threads: int = 0
    workers: int = 2
    first_pass_dir: str = ""
    checkpoint_every: int = 100
    validate_every: int = 500


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training depends on.

    Attributes:
        network: Architecture; it must be ``network_for`` the posterior.
        data: Cases and patches.
        optimiser: Optimiser and schedule.
        loss: Terms of the loss.
        guidance: Guidance maps of the first pass.
        posterior: Posterior that the training prepares, see ``training.objective`` and ``training.fitting``.
        threshold: Probability from which a voxel is predicted positive, in validation and on the model card.
        seed: Seed of every random choice of the training, except those of the first pass.
        runtime: How the training runs; not part of its identity.
    """

    network: UNetConfig = field(default_factory=UNetConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    posterior: TrainedPosterior = "dropout"
    threshold: float = 0.5
    seed: int = 0
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    @property
    def cache(self) -> CacheConfig:
        """The options that the cache files depend on."""
        return CacheConfig(
            modalities=self.network.modalities,
            targets=self.network.targets,
            registration=self.data.registration,
            spacing_mm=self.data.spacing_mm,
            least_side=self.data.patch,
            annotators=self.data.annotators,
            mirrored=self.network.mirrored,
        )

    @property
    def uses_uncertainty(self) -> bool:
        """Whether the network or the loss needs the uncertainty of a first pass."""
        return self.network.guidance_channels > 0 or self.loss.uses_uncertainty

    def identity(self) -> dict[str, object]:
        """The options that the result depends on, as plain values: all parts but ``runtime``.

        Options that earlier versions did not have are left out at their default, so that the identity of a training of
        theirs is unchanged.
        """
        return without_later_defaults({name: value for name, value in asdict(self).items() if name != "runtime"})


def default_network(target: Target) -> UNetConfig:
    """The usual network of a target, a plain U-Net.

    Raises:
        KeyError: No network segments the target.
    """
    return UNetConfig(modalities=network_defaults(target).modalities, targets=(target,))


def network_for(posterior: TrainedPosterior, network: UNetConfig) -> UNetConfig:
    """The network's config with the changes that a posterior needs.

    Raises:
        InputRejected: The network does not support the posterior.
    """
    if posterior not in network.trainable_posteriors:
        raise InputRejected(
            "posterior",
            expected=f"{' or '.join(network.trainable_posteriors)} for this network",
            found=posterior,
            do="choose one of these, or --backbone unet --fusion early",
        )
    if posterior == "dropout-everywhere":
        return replace(network, dropout=dropout_everywhere(network))
    return replace(network, **_NETWORK_CHANGES.get(posterior, {}))  # type: ignore[arg-type]


_NETWORK_CHANGES: Mapping[str, Mapping[str, object]] = {
    "heteroscedastic": {"noise_rank": 0},
    "deterministic": {"dropout": 0.0},
    "stochastic-segmentation": {"noise_rank": 8},
    "variational": {"dropout": 0.0},  # The weights carry their own noise.
}


def dropout_everywhere(network: UNetConfig) -> tuple[float, ...]:
    """Dropout rate of each level: the usual one at the two deepest levels, half of it at the finer ones."""
    if isinstance(network.dropout, tuple):
        return network.dropout
    return (*[0.5 * network.dropout] * (len(network.widths) - 2), network.dropout, network.dropout)
