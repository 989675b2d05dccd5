"""``adumbra train``: a network from a data set; resumes by itself where it was stopped."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from adumbra.cli.options import DEFAULT_OUTPUT, OK, Count, Device, Flag, From0, OutputOptions, PhantomPreset, UsageError
from adumbra.core.options import BlurKind, DiffusionTarget
from adumbra.training.options import Backbone, Fusion, RegulariserMode, TrainedPosterior, UncertaintyLoss

if TYPE_CHECKING:
    from adumbra.training.cache import CaseRef
    from adumbra.training.plan import Plan


@Parameter(name="*", group="What is trained")
@dataclass(frozen=True)
class MethodOptions:
    """A preset, see ``training.presets``.

    Attributes:
        backbone: A U-Net; a network with an encoder for each modality; a diffusion model of masks.
        fusion: How modalities are fused: early (concatenated), late (averaged), attention (always open), uncertainty
            (attention that opens where a first reading doubts), or its controls constant, shuffled and oracle.
        regulariser: A diffusion model of the images that shares the encoder: joint (beside the segmentation), before
            it, or both.
        blur: Of the images that it learns; focused is where a first reading doubts.
        blur_mm: Its standard deviation where the doubt is largest.
        diffusion_target: Whose error its loss is: of the noise, or of the velocity, which weighs coarse structure more.
        regulariser_weight: Of its loss, where it is joint.
        uncertainty_loss: What doubt does to the loss: voxels weigh more, or their labels are smoothed.
        first_pass_dir: Folder of the first readings; trainings that differ in seed or guide may share it.
        first_pass_steps: Of each of their networks; those of the training by default.
    """

    backbone: Backbone = "unet"
    fusion: Fusion = "early"
    regulariser: RegulariserMode = "none"
    blur: BlurKind = "none"
    blur_mm: Annotated[float, Parameter(validator=Number(gt=0))] = 4.0
    diffusion_target: DiffusionTarget = "noise"
    regulariser_weight: float = 0.1
    uncertainty_loss: UncertaintyLoss = "none"
    first_pass_dir: Path | None = None
    first_pass_steps: Count | None = None


DEFAULT_METHOD = MethodOptions()


@Parameter(name="*", group="Drawn by the phantom, in place of --data")
@dataclass(frozen=True)
class PhantomOptions:
    """Cases that are drawn as they are needed, without files in between.

    Attributes:
        n_phantoms: How many strokes to draw.
        phantom_seed: Of the cohort: the cases are those of adumbra simulate --seed.
        phantom_preset: Their examination, as adumbra simulate --preset names it.
        lesion_masks: Folder of lesion masks in MNI space; half of the infarcts take their shapes.
    """

    n_phantoms: From0 = 0
    phantom_seed: From0 = 0
    phantom_preset: PhantomPreset = "diffusion"
    lesion_masks: Path | None = None


NO_PHANTOMS = PhantomOptions()


def train(
    *,
    data: Path | None = None,
    out: Annotated[Path, Parameter(alias="-o")],
    target: Literal["lesion", "thrombus"] = "lesion",
    posterior: TrainedPosterior = "dropout",
    steps: From0 = 6000,
    batch: Count = 4,
    learning_rate: Annotated[float, Parameter(validator=Number(gt=0))] = 2e-3,
    held_out: From0 = 8,
    fold: From0 = 0,
    initial: str = "",
    registration: Annotated[bool, Parameter(negative="--no-registration")] = True,
    seed: From0 = 0,
    device: Device = "auto",
    threads: Count | None = None,
    workers: Count = 2,
    patch: Count = 48,
    dry_run: Flag = False,
    built: MethodOptions = DEFAULT_METHOD,
    drawn: PhantomOptions = NO_PHANTOMS,
    manner: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Train a network and leave its weights and their card; the same command goes on where it was stopped.

    Args:
        data: A data set with its outlines: what adumbra simulate wrote, BIDS, ISLES'22, or a CSV manifest.
        out: Folder for checkpoints, log and weights.
        target: What to learn to outline. The lesion from DWI, ADC, b0 and FLAIR at 2 mm; the thrombus from the
            susceptibility-weighted image, its phase, TOF and DWI at 1 mm.
        posterior: What the training leaves to draw from: dropout at the deepest levels or everywhere; noise of the
            logits, of each voxel (heteroscedastic) or shared (stochastic-segmentation); uncertain weights, of the
            decoder (variational, swag) or of the head (laplace). Members of an ensemble are trained apart, with other
            seeds and folds.
        steps: Optimiser steps in all; 0 with --initial fits a laplace to weights as they are.
        batch: Patches in a step.
        learning_rate: The highest, after the warm-up; a lower one keeps more of the weights that it goes on from.
        held_out: So many cases, the last ones, are not trained on but measured.
        fold: Which block of so many cases is held out instead, counted from the end.
        initial: Weights to begin with, by name or file; without them training begins at random.
        registration: Bring scans onto each other by rigid registration where that helps.
        seed: Of every random choice.
        device: Where the network runs.
        threads: Processor threads to use; all by default.
        workers: Processes that prepare cases.
        patch: Side of a patch, in voxels.
        dry_run: Only say what it would ask for: parameters, memory, time. Nothing is written.
    """
    from adumbra.training.config import CrossFit, network_for
    from adumbra.training.loop import train as trained
    from adumbra.training.presets import TrainingPreset, config_for

    preset = TrainingPreset(**{field.name: getattr(built, field.name) for field in fields(TrainingPreset)})
    config = config_for(
        preset,
        target,
        cross=CrossFit(steps=built.first_pass_steps or steps),
        first_pass_dir="" if built.first_pass_dir is None else str(built.first_pass_dir),
        patch=patch,
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        held_out=held_out,
        fold=fold,
        posterior=posterior,
        initial=initial,
        registration="auto" if registration else "never",
        seed=seed,
        device=device,
        threads=threads or 0,
        workers=workers,
    )
    config = replace(config, network=network_for(posterior, config.network))
    cases = cases_of(data, drawn)
    if dry_run:
        from adumbra.training.plan import planned

        plan = planned(config, cases=len(cases))
        told = asdict(plan) | {"seconds_an_epoch": plan.seconds_an_epoch}
        manner.answer(told, *_planned(plan, config.patch, config.batch))
        return OK
    result = trained(cases, out, config, progress=manner.watch())
    told = {"weights": result.weights, "sha256": result.sha256, "held_out": result.scores and asdict(result.scores)}
    manner.answer(told, f"Weights: {result.weights}", f"sha256: {result.sha256}")
    return OK


def _planned(plan: "Plan", patch: int, batch: int) -> tuple[str, ...]:
    return (
        f"Network: {plan.architecture}, {plan.parameters:,} parameters"
        + (f", and {plan.denoiser:,} of its regulariser" if plan.denoiser else ""),
        f"Memory: {plan.memory_gb:.1f} GB for a batch of {batch} patches of {patch} × {patch} × {patch} voxels",
        f"Time: {plan.seconds_a_step:.1f} s a step on this machine, {plan.seconds_an_epoch / 60:.1f} min an epoch of "
        f"{plan.steps_an_epoch} steps",
    )


def cases_of(data: Path | None, drawn: PhantomOptions, *, named: str = "--data FOLDER") -> "Sequence[CaseRef]":
    """The cases of a data set, or phantoms.

    Raises:
        UsageError: Both were asked for, or neither.
    """
    if (data is None) == (drawn.n_phantoms == 0):
        raise UsageError(f"give either {named} or --n-phantoms N")
    if data is not None:
        from adumbra.cases.registry import find_cases

        return find_cases(data)
    from adumbra.simulation.cohort import PhantomRef, lesion_mask_files

    outlines = lesion_mask_files(drawn.lesion_masks)
    return [
        PhantomRef(drawn.phantom_seed, number, outlines, drawn.phantom_preset) for number in range(drawn.n_phantoms)
    ]
