"""Named training methods. All options combine, with few exceptions.

backbone           unet, strided-unet (faster), crossmodal (an encoder for each modality), diffusion (a mask denoiser)
fusion             early (concatenation), late (averaged probabilities), attention (gate always open), and attention
                   gated by a map: uncertainty, or its controls constant, shuffled and oracle
regulariser        none; joint, beside the segmentation; pretrain, before it; both
blur               of the images that the regulariser learns: none, uniform, shuffled, focused, inverse
uncertainty_loss   how uncertainty changes the loss: none, weighted, smoothed
loss               the overlap term of the loss: region-balanced, component-tversky, component-dice
mirrored           whether the network also takes the images of the other side of the head
"""

from dataclasses import dataclass, replace
from typing import get_args

from adumbra.core.errors import InputRejected
from adumbra.core.options import BlurKind, DiffusionTarget, Guide
from adumbra.core.targets import TARGET_SPECS, network_defaults
from adumbra.core.types import Target, targets_of
from adumbra.diffusion.regulariser import BlurConfig, RegulariserConfig
from adumbra.networks.crossmodal import CrossModalConfig, LateAverageConfig
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.config import (
    DataConfig,
    GuidanceConfig,
    LossConfig,
    OptimiserConfig,
    RuntimeConfig,
    TrainConfig,
    default_network,
    network_for,
)
from adumbra.training.options import Backbone, Fusion, LossKind, RegulariserMode, TrainedPosterior, UncertaintyLoss

_GUIDED: dict[Fusion, Guide] = {
    "constant": "constant", "shuffled": "shuffled", "uncertainty": "uncertainty", "oracle": "oracle",
}  # fmt: skip
_PRETRAIN_SHARE = 0.3  # Share of the steps.
_MISSING_RAMP = 0.5  # Share of the steps, for networks that read each modality alone.
_DEFAULTS = TrainConfig()


@dataclass(frozen=True)
class TrainingPreset:
    """A training method; the module lists the values of each option.

    Attributes:
        backbone: Architecture.
        fusion: How modalities are fused.
        regulariser: Whether and when a diffusion model shares the encoder.
        blur: How the images that the regulariser learns are blurred.
        blur_mm: Standard deviation of the blur where the uncertainty is largest, in millimetres.
        diffusion_target: Quantity that the regulariser predicts, the noise or the velocity.
        regulariser_weight: Weight of the regulariser's loss beside the segmentation's.
        uncertainty_loss: How uncertainty changes the segmentation loss.
        loss: The overlap term of the segmentation loss.
        mirrored: Whether the network also takes the images of the other side of the head.
    """

    backbone: Backbone = "unet"
    fusion: Fusion = "early"
    regulariser: RegulariserMode = "none"
    blur: BlurKind = "none"
    blur_mm: float = 4.0
    diffusion_target: DiffusionTarget = "noise"
    regulariser_weight: float = 0.1
    uncertainty_loss: UncertaintyLoss = "none"
    loss: LossKind = "region-balanced"
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.mirrored and (self.backbone not in ("unet", "strided-unet") or self.fusion != "early"):
            raise InputRejected(
                "mirrored",
                expected="unet or strided-unet with fusion early, which reads all images together",
                found=f"{self.backbone}, {self.fusion}",
                do="choose these, or leave the mirror images out",
            )
        if self.backbone == "strided-unet" and self.fusion != "early":
            raise InputRejected(
                "fusion", expected="early with strided-unet", found=self.fusion, do="choose early, or another backbone"
            )
        if (self.backbone == "crossmodal" and self.fusion == "early") or (
            self.backbone != "unet" and self.fusion == "late"
        ):
            raise InputRejected(
                "fusion",
                expected="late with unet only; with crossmodal a fusion by attention",
                found=f"{self.backbone}, {self.fusion}",
                do=f"choose among {', '.join(get_args(Fusion)[2:])}, or another backbone",
            )
        if self.blur != "none" and self.regulariser == "none":
            raise InputRejected(
                "blur", expected="a regulariser, whose images it blurs", found="none", do="add --regulariser joint"
            )

    @property
    def guide(self) -> Guide:
        """Kind of guidance map; ``"none"`` where neither network nor loss uses uncertainty."""
        loss_needs_it = self.blur != "none" or self.uncertainty_loss != "none"
        return _GUIDED.get(self.fusion, "uncertainty" if loss_needs_it else "none")

    @property
    def regulariser_config(self) -> RegulariserConfig | None:
        """The regulariser; None where there is none."""
        if self.regulariser == "none":
            return None
        return RegulariserConfig(
            weight=self.regulariser_weight if self.regulariser in ("joint", "both") else 0.0,
            pretrain_share=_PRETRAIN_SHARE if self.regulariser in ("pretrain", "both") else 0.0,
            blur=BlurConfig(self.blur, self.blur_mm),
            diffusion_target=self.diffusion_target,
        )


def config_for(
    preset: TrainingPreset,
    target: Target,
    *,
    network: UNetConfig | None = None,
    data: DataConfig = _DEFAULTS.data,
    optimiser: OptimiserConfig = _DEFAULTS.optimiser,
    guidance: GuidanceConfig = _DEFAULTS.guidance,
    posterior: TrainedPosterior = "dropout",
    seed: int = 0,
    runtime: RuntimeConfig = _DEFAULTS.runtime,
) -> TrainConfig:
    """The training of a preset for a target.

    Args:
        preset: The method. It sets the loss, ``guidance.guide`` and ``data.missing_ramp``.
        target: The target. It sets ``data.spacing_mm`` and the share of hard voxels.
        network: Architecture in place of the preset's.
        data: All other options of the data.
        optimiser: Optimiser and schedule.
        guidance: All other options of the first pass.
        posterior: Posterior that the training prepares.
        seed: Seed of every random choice.
        runtime: How the training runs.

    Raises:
        InputRejected: The network does not support the posterior.
        KeyError: No network segments the target.
    """
    defaults = network_defaults(target)
    return TrainConfig(
        network=network_for(posterior, network or network_of_preset(preset, default_network(target))),
        data=replace(
            data,
            spacing_mm=defaults.spacing_mm,
            missing_ramp=0.0 if preset.fusion == "early" else _MISSING_RAMP,
        ),
        optimiser=optimiser,
        loss=LossConfig(
            defaults.hard_voxel_fraction, preset.uncertainty_loss, preset.regulariser_config, kind=preset.loss
        ),
        guidance=replace(guidance, guide=preset.guide),
        posterior=posterior,
        seed=seed,
        runtime=runtime,
    )


def network_of_preset(preset: TrainingPreset, plain: UNetConfig) -> UNetConfig:
    """The architecture of a preset, with the modalities, targets, widths and dropout of a plain U-Net."""
    modalities, targets, widths, dropout = plain.modalities, plain.targets, plain.widths, plain.dropout
    if preset.mirrored:
        plain = replace(plain, mirrored=True)
    attends, guided = preset.fusion not in ("early", "late"), preset.fusion in _GUIDED
    windows = windows_for(len(widths)) if attends else (None,) * len(widths)
    if preset.backbone == "diffusion":
        return MaskDenoiserConfig(modalities, targets, widths, dropout, windows=windows, guided=guided)
    if preset.backbone == "strided-unet":
        return StridedUNetConfig(modalities, targets, dropout=dropout, mirrored=preset.mirrored)
    if preset.fusion == "early":
        return plain
    if preset.fusion == "late":
        return LateAverageConfig(modalities, targets, widths, dropout)
    primary = TARGET_SPECS[targets_of(targets)[0]].reference_modalities[0] if preset.backbone == "crossmodal" else None
    return CrossModalConfig(modalities, targets, widths, dropout, primary=primary, windows=windows, guided=guided)


def windows_for(levels: int) -> tuple[int | None, ...]:
    """Attention windows of each level: one voxel at half resolution, cubes of four below it, then the whole map.

    The finest level has no attention: there it would take most of the computing time.
    """
    usual: tuple[int | None, ...] = (None, 1, 4, 0)
    return (usual + (None,) * levels)[:levels] if levels >= len(usual) else usual[len(usual) - levels :]
