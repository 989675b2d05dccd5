"""``adumbra train``: a network from a data set; resumes by itself where it was stopped."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from adumbra.cli.manner import OK, USUAL, Count, Device, From0, Manner, Preset, UsageError

if TYPE_CHECKING:
    from adumbra.training.cache import CaseRef


TrainedPosterior = Literal[
    "dropout",
    "dropout-everywhere",
    "heteroscedastic",
    "laplace",
    "point",
    "stochastic-segmentation",
    "swag",
    "variational",
]
"""``training.config.TrainedPosterior``, whose import would cost ``--help`` its quickness; a test compares them."""


@Parameter(name="*", group="Drawn by the phantom, in place of --data")
@dataclass(frozen=True)
class Drawn:
    """Cases that are drawn as they are needed, without files in between.

    Attributes:
        phantom: How many strokes to draw.
        phantom_seed: Of the cohort: the cases are those of adumbra simulate --seed.
        phantom_preset: Their examination, as adumbra simulate --preset names it.
        lesion_masks: Folder of lesion masks in MNI space; half of the infarcts take their shapes.
    """

    phantom: From0 = 0
    phantom_seed: From0 = 0
    phantom_preset: Preset = "diffusion"
    lesion_masks: Path | None = None


NOT_DRAWN = Drawn()


def train(
    *,
    data: Path | None = None,
    out: Annotated[Path, Parameter(alias="-o")],
    target: Literal["lesion", "thrombus"] = "lesion",
    posterior: TrainedPosterior = "dropout",
    steps: From0 = 6000,
    batch: Count = 4,
    held_out: From0 = 8,
    fold: From0 = 0,
    initial: str = "",
    registration: Annotated[bool, Parameter(negative="--no-registration")] = True,
    seed: From0 = 0,
    device: Device = "auto",
    threads: Count | None = None,
    workers: Count = 2,
    drawn: Drawn = NOT_DRAWN,
    manner: Manner = USUAL,
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
        held_out: So many cases, the last ones, are not trained on but measured.
        fold: Which block of so many cases is held out instead, counted from the end.
        initial: Weights to begin with, by name or file; without them training begins at random.
        registration: Bring scans onto each other by rigid registration where that helps.
        seed: Of every random choice.
        device: Where the network runs.
        threads: Processor threads to use; all by default.
        workers: Processes that prepare cases.
    """
    from adumbra.training.config import LEARNED, TrainConfig, network_for
    from adumbra.training.loop import train as trained

    learned = LEARNED[target]
    config = TrainConfig(
        network=network_for(posterior, learned.network),
        spacing_mm=learned.spacing_mm,
        hardest=learned.hardest,
        steps=steps,
        batch=batch,
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
    result = trained(cases_of(data, drawn), out, config, progress=manner.watch())
    told = {"weights": result.weights, "sha256": result.sha256, "held_out": result.scores and asdict(result.scores)}
    manner.answer(told, f"Weights: {result.weights}", f"sha256: {result.sha256}")
    return OK


def cases_of(data: Path | None, drawn: Drawn, *, named: str = "--data FOLDER") -> "Sequence[CaseRef]":
    """The cases of a data set, or phantoms.

    Raises:
        UsageError: Both were asked for, or neither.
    """
    if (data is None) == (drawn.phantom == 0):
        raise UsageError(f"give either {named} or --phantom N")
    if data is not None:
        from adumbra.cases.catalogue import find_cases

        return find_cases(data)
    from adumbra.cohort import PhantomRef, outline_files

    outlines = outline_files(drawn.lesion_masks)
    return [PhantomRef(drawn.phantom_seed, number, outlines, drawn.phantom_preset) for number in range(drawn.phantom)]
