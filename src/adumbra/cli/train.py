"""``adumbra train``: trains a network on a data set, and resumes a training that was interrupted."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from adumbra.cli.options import (
    DEFAULT_OUTPUT,
    OK,
    Count,
    Flag,
    NonNegative,
    OutputOptions,
    unwrap_docstring,
)
from adumbra.cli.phantoms import NO_PHANTOMS, PhantomOptions, input_cases
from adumbra.core.options import BlurKind, DeviceName, DiffusionTarget, TrainedTarget
from adumbra.training.options import Backbone, Fusion, LossKind, RegulariserMode, TrainedPosterior, UncertaintyLoss

if TYPE_CHECKING:
    from adumbra.training.plan import Plan


@Parameter(name="*", group=Group("Method", sort_key=4))
@unwrap_docstring
@dataclass(frozen=True)
class MethodOptions:
    """The fields of ``training.presets.TrainingPreset``, and the first pass of a guided training.

    Attributes:
        backbone: The network: a U-Net, a faster one with a strided stem, a network with an encoder for each modality,
            or a diffusion model of masks.
        fusion: The fusion of the modalities. early concatenates them; late averages their probabilities. attention is
            cross-attention with an open gate. uncertainty gates it by the predictive entropy of a first pass. constant,
            shuffled and oracle are controls of that gate.
        regulariser: A diffusion model of the images that shares the encoder. It is trained with the segmentation
            (joint), before it (pretrain), or both.
        blur: The blur of the images that the regulariser learns. focused blurs where the first pass is uncertain.
        blur_mm: Standard deviation of the blur in mm where uncertainty is highest.
        diffusion_target: The quantity that the regulariser predicts: the noise, or the velocity, which gives coarse
            structure more weight.
        regulariser_weight: Weight of the loss of a joint regulariser.
        uncertainty_loss: The effect of uncertainty on the loss: voxels weigh more, or their labels are smoothed.
        loss: The overlap term of the loss. region-balanced is a Dice whose weights keep large lesions from dominating.
            The others replace half of it by a term in which every component counts alike: component-tversky, which
            penalises missed voxels more than false ones, or component-dice, the Dice around each component.
            dice-cross-entropy has no weights and no term of the hardest voxels.
        mirrored: Show the network the other side of the head beside each image.
        first_pass_dir: Folder of the networks and maps of the first pass. Trainings that differ in seed or guidance
            may share it.
        first_pass_steps: Optimiser steps of each network of the first pass; --steps by default.
    """

    backbone: Backbone = "unet"
    fusion: Fusion = "early"
    regulariser: RegulariserMode = "none"
    blur: BlurKind = "none"
    blur_mm: Annotated[float, Parameter(validator=Number(gt=0))] = 4.0
    diffusion_target: DiffusionTarget = "noise"
    regulariser_weight: float = 0.1
    uncertainty_loss: UncertaintyLoss = "none"
    loss: LossKind = "region-balanced"
    mirrored: Flag = False
    first_pass_dir: Path | None = None
    first_pass_steps: Count | None = None


DEFAULT_METHOD = MethodOptions()


def train(
    *,
    data: Path | None = None,
    out: Annotated[Path, Parameter(alias="-o")],
    target: TrainedTarget = "lesion",
    posterior: TrainedPosterior = "dropout",
    steps: NonNegative = 6000,
    batch: Count = 4,
    learning_rate: Annotated[float, Parameter(validator=Number(gt=0))] = 2e-3,
    held_out: NonNegative = 8,
    fold: NonNegative = 0,
    initial: Annotated[str, Parameter(show_default=False)] = "",
    registration: Annotated[bool, Parameter(negative="--no-registration")] = True,
    seed: NonNegative = 0,
    device: DeviceName = "auto",
    threads: Count | None = None,
    workers: Count = 2,
    patch: Count = 48,
    dry_run: Flag = False,
    method: MethodOptions = DEFAULT_METHOD,
    phantoms: PhantomOptions = NO_PHANTOMS,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Train a network and write its weights and their model card. Repeat the command to resume a training.

    Args:
        data: A data set with masks: BIDS, ISLES'22, a CSV manifest, or the output of adumbra simulate.
        out: Folder for checkpoints, log and weights.
        target: The target to segment. The lesion is learned from DWI, ADC, b0 and FLAIR at 2 mm, the thrombus from the
            susceptibility-weighted image, its phase, TOF and DWI at 1 mm.
        posterior: The posterior that the weights are trained for. dropout acts at the deepest levels,
            dropout-everywhere at all. Logit noise is independent (heteroscedastic) or correlated
            (stochastic-segmentation). Weights are random in the decoder (variational, swag) or in the last layer
            (laplace). Train the members of an ensemble with different seeds and folds.
        steps: Number of optimiser steps. 0 with --initial fits a laplace to unchanged weights.
        batch: Patches in a step.
        learning_rate: Highest learning rate, reached after the warm-up. A lower one changes initial weights less.
        held_out: Number of cases, the last ones, that are measured and not trained on.
        fold: The block of that many cases that is held out instead, counted from the end.
        initial: Initial weights, by name or file. By default training starts from scratch.
        registration: Align the scans by rigid registration where that improves the match.
        seed: Seed of every random choice.
        device: The device that runs the network.
        threads: Number of processor threads; all by default.
        workers: Number of processes that prepare cases.
        patch: Side of a patch, in voxels.
        dry_run: Print the parameters, the memory and the time that the training needs, and write nothing.
    """
    from adumbra.training.config import DataConfig, GuidanceConfig, OptimiserConfig, RuntimeConfig
    from adumbra.training.loop import train as run_training
    from adumbra.training.presets import TrainingPreset, config_for

    config = config_for(
        TrainingPreset(**{field.name: getattr(method, field.name) for field in fields(TrainingPreset)}),
        target,
        data=DataConfig(
            patch=patch,
            batch=batch,
            held_out=held_out,
            fold=fold,
            registration="auto" if registration else "never",
        ),
        optimiser=OptimiserConfig(steps=steps, learning_rate=learning_rate, initial=initial),
        guidance=GuidanceConfig(steps=method.first_pass_steps or steps),
        posterior=posterior,
        seed=seed,
        runtime=RuntimeConfig(
            device=device,
            threads=threads or 0,
            workers=workers,
            first_pass_dir="" if method.first_pass_dir is None else str(method.first_pass_dir),
        ),
    )
    cases = input_cases(data, phantoms)
    if dry_run:
        from adumbra.training.plan import planned

        plan = planned(config, cases=len(cases))
        json_plan = asdict(plan) | {"seconds_an_epoch": plan.seconds_an_epoch}
        output.print_result(json_plan, *_plan_lines(plan, patch, batch))
        return OK
    result = run_training(cases, out, config, progress=output.progress_display())
    scores = result.scores and asdict(result.scores)
    json_result = {"weights": result.weights, "sha256": result.sha256, "held_out": scores}
    output.print_result(json_result, f"Weights: {result.weights}", f"sha256: {result.sha256}")
    return OK


def _plan_lines(plan: "Plan", patch: int, batch: int) -> tuple[str, ...]:
    return (
        f"Network: {plan.architecture}, {plan.parameters:,} parameters"
        + (f", and {plan.denoiser:,} of its regulariser" if plan.denoiser else ""),
        f"Memory: {plan.memory_gb:.1f} GB for a batch of {batch} patches of {patch} × {patch} × {patch} voxels",
        f"Time: {plan.seconds_a_step:.1f} s a step on this machine, {plan.seconds_an_epoch / 60:.1f} min an epoch of "
        f"{plan.steps_an_epoch} steps",
    )
