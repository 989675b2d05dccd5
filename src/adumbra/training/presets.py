"""What can be trained, by name: a backbone, how modalities are fused, what regularises it. All combine, but for a few.

backbone      unet, crossmodal (an encoder for each modality), diffusion (a mask denoiser)
fusion        early (concatenation), late (averaged probabilities), attention (always open), and attention that doubt
              opens: uncertainty, or its controls constant, shuffled, oracle
regulariser   none; joint, beside the segmentation; before it; both
blur          of the images that the regulariser learns: none, uniform, shuffled, focused, inverse
softening     what doubt does to the loss: none, weighted, smoothed
"""

from dataclasses import dataclass
from typing import get_args

from adumbra.core.errors import InputRejected
from adumbra.core.options import BlurKind, DiffusionTarget, Guide
from adumbra.core.types import Target
from adumbra.diffusion.regulariser import BlurConfig, RegulariserConfig
from adumbra.networks.crossmodal import PRIMARY, CrossModalConfig, LateAverageConfig
from adumbra.networks.denoiser import MaskDenoiserConfig
from adumbra.networks.unet import UNetConfig
from adumbra.training.config import DEFAULT_TRAINING, TrainConfig
from adumbra.training.options import Backbone, Fusion, RegulariserMode, UncertaintyLoss

_GUIDED: dict[Fusion, Guide] = {
    "constant": "constant", "shuffled": "shuffled", "uncertainty": "uncertainty", "oracle": "oracle",
}  # fmt: skip
_BEFORE = 0.3  # Share of the steps.


@dataclass(frozen=True)
class TrainingPreset:
    """What is trained.

    Attributes:
        backbone: See the module; so are the others.
        fusion: How modalities are fused.
        regulariser: Whether and when a diffusion model shares the encoder.
        blur: Of what it learns.
        blur_mm: Its standard deviation where the doubt is largest.
        diffusion_target: Whose error its loss is: of the noise or of the velocity.
        regulariser_weight: Of its loss, where it is joint.
        uncertainty_loss: Of the segmentation's loss.
    """

    backbone: Backbone = "unet"
    fusion: Fusion = "early"
    regulariser: RegulariserMode = "none"
    blur: BlurKind = "none"
    blur_mm: float = 4.0
    diffusion_target: DiffusionTarget = "noise"
    regulariser_weight: float = 0.1
    uncertainty_loss: UncertaintyLoss = "none"

    def __post_init__(self) -> None:
        if (self.backbone == "crossmodal" and self.fusion == "early") or (
            self.backbone != "unet" and self.fusion == "late"
        ):
            raise InputRejected(
                "fusion",
                expected="late with unet alone; with crossmodal one that attends",
                found=f"{self.backbone}, {self.fusion}",
                do=f"choose among {', '.join(get_args(Fusion)[2:])}, or another backbone",
            )
        if self.blur != "none" and self.regulariser == "none":
            raise InputRejected(
                "blur", expected="a regulariser, whose images it blurs", found="none", do="add --regulariser joint"
            )

    @property
    def guide(self) -> Guide:
        """What stands for the doubt of a first reading; none where nothing asks for it."""
        asked = self.blur != "none" or self.uncertainty_loss != "none"
        return _GUIDED.get(self.fusion, "uncertainty" if asked else "none")


def config_for(preset: TrainingPreset, target: Target, **changes: object) -> TrainConfig:
    """The training of a preset for a target; other options of ``TrainConfig`` as they are given.

    Raises:
        InputRejected: They do not go together.
    """
    learned = DEFAULT_TRAINING[target]
    network = network_of_preset(preset, learned.network)
    regulariser = None
    if preset.regulariser != "none":
        regulariser = RegulariserConfig(
            weight=preset.regulariser_weight if preset.regulariser in ("joint", "both") else 0.0,
            pretrain_share=_BEFORE if preset.regulariser in ("pretrain", "both") else 0.0,
            blur=BlurConfig(preset.blur, preset.blur_mm),
            diffusion_target=preset.diffusion_target,
        )
    usual: dict[str, object] = {
        "network": network,
        "spacing_mm": learned.spacing_mm,
        "hard_voxel_fraction": learned.hard_voxel_fraction,
        "guide": preset.guide,
        "regulariser": regulariser,
        "uncertainty_loss": preset.uncertainty_loss,
        "missing_ramp": 0.0 if preset.fusion == "early" else 0.5,
    }
    return TrainConfig(**(usual | changes))  # type: ignore[arg-type]


def network_of_preset(preset: TrainingPreset, plain: UNetConfig) -> UNetConfig:
    """The network's config, of the modalities, targets and widths of a plain one."""
    same = {name: getattr(plain, name) for name in ("modalities", "targets", "widths", "dropout")}
    attends, guided = preset.fusion not in ("early", "late"), preset.fusion in _GUIDED
    windows = windows_for(len(plain.widths)) if attends else (None,) * len(plain.widths)
    if preset.backbone == "diffusion":
        return MaskDenoiserConfig(**same, windows=windows, guided=guided)
    if preset.fusion == "early":
        return plain
    if preset.fusion == "late":
        return LateAverageConfig(**same)
    primary = PRIMARY[plain.targets[0]] if preset.backbone == "crossmodal" else None
    return CrossModalConfig(**same, primary=primary, windows=windows, guided=guided)


def windows_for(levels: int) -> tuple[int | None, ...]:
    """Voxel by voxel at half resolution, cubes of four at the next level, the whole map at the one after it.

    At full resolution nobody listens: that would be most of what listening costs.
    """
    usual: tuple[int | None, ...] = (None, 1, 4, 0)
    return (usual + (None,) * levels)[:levels] if levels >= len(usual) else usual[len(usual) - levels :]
