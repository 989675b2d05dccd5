"""Simulates a cohort of phantoms and writes it as a BIDS data set; the bytes do not depend on the number of workers.

Case ``n`` of cohort ``seed`` depends on ``seed * 1_000_000 + n`` only. Cohorts of different seeds therefore share no
case, and a cohort can be extended without a change of its present cases.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from adumbra.cases.scan import read_mask
from adumbra.core.case import Case, Scan, annotator_mask_name
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.progress import Progress, quiet
from adumbra.phantom.generate import Phantom, generate, phantom_from
from adumbra.phantom.pathology.lesion import LesionShape
from adumbra.phantom.patient import has_clot, simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.phantom.vasculature.territories import LABELS, atlas
from adumbra.report.dataset import write_atlas, write_description, write_phantom
from adumbra.simulation.explain import write_explanation

LARGEST_LESION_ML = 600.0
_MAX_ATTEMPTS = 20  # masks that are tried for a case

Job = tuple["PhantomRef", Path, bool, bool]


def case_seed(seed: int, number: int) -> int:
    """The seed of one case.

    Args:
        seed: Seed of the cohort.
        number: Number of the case.
    """
    return seed * 1_000_000 + number


@dataclass(frozen=True)
class PhantomRef:
    """A reference to a phantom that is simulated when it is opened; training needs no files of it.

    Attributes:
        seed: Seed of the cohort.
        number: Number of the case.
        lesion_masks: Files of real lesion masks in MNI space, whose shapes half of the infarcts take.
        preset: Name of the examination preset, a key of ``phantom.presets.PRESETS``.
        annotators: Number of annotators whose masks of the lesion the case holds beside its own. They are numbered from
            1, whose mask is the smallest, to the one whose mask is the largest. With annotators the case also holds its
            true brain mask, so that preparation need not find the brain.
    """

    seed: int
    number: int
    lesion_masks: tuple[Path, ...] = ()
    preset: str = "diffusion"
    annotators: int = 0

    @property
    def name(self) -> str:
        """The name of the case."""
        return case_name(self.seed, self.number)

    def open(self) -> Case:
        """Simulates the case.

        Raises:
            InputRejected: The preset has fewer annotators.
        """
        phantom = simulate_case(self.seed, self.number, self.lesion_masks, preset_name=self.preset)
        annotations = sorted(phantom.annotations, key=lambda scan: int(np.count_nonzero(scan.data)))
        if len(annotations) < self.annotators:
            raise InputRejected(
                "annotators",
                expected=f"at most {len(annotations)}, as preset {self.preset} has",
                found=str(self.annotators),
                do="choose a preset with several annotators, such as lesion-both",
            )
        chosen = enumerate(annotations[: self.annotators], start=1)
        masks = {annotator_mask_name("lesion", number): scan for number, scan in chosen}
        if phantom.brain is not None and self.annotators:
            masks["brain"] = phantom.brain
        return phantom.case.updated(masks={**phantom.case.masks, **masks})

    def has_clot(self) -> bool:
        """Whether the case has a clot; no images are simulated."""
        own = case_seed(self.seed, self.number)
        shape = sample_lesion_shape(self.lesion_masks, own)
        return has_clot(own, preset=preset_named(self.preset), lesion_shape=shape)


def case_name(seed: int, number: int) -> str:
    """The name of a case, a BIDS subject.

    Args:
        seed: Seed of the cohort.
        number: Number of the case.
    """
    return f"sub-phantom{seed:02d}n{number:05d}"


def lesion_mask_files(folder: Path | None) -> tuple[Path, ...]:
    """The lesion masks of a folder, sorted by name; none where no folder is given.

    Args:
        folder: Folder of NIfTI files in MNI space.

    Raises:
        MissingInput: The folder contains none.
    """
    if folder is None:
        return ()
    paths = folder.iterdir() if folder.is_dir() else iter(())
    files = tuple(sorted(p for p in paths if p.name.endswith((".nii", ".nii.gz"))))
    if not files:
        raise MissingInput(
            folder,
            expected="a folder of lesion masks in MNI space (.nii, .nii.gz)",
            found="no such file",
            do="name the folder that contains the mask files",
        )
    return files


def sample_lesion_shape(files: Sequence[Path], seed: int) -> LesionShape | None:
    """Samples a real lesion for a case.

    Implausible masks are skipped: empty ones, those above 600 ml, and those above 5 ml that fill more than 90 % of
    their bounding box, which were segmented as boxes.

    Args:
        files: Files of lesion masks in MNI space.
        seed: Seed of the case.

    Returns:
        The lesion; None without files, or where none of the tried masks is plausible.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(files))
    for n in order[:_MAX_ATTEMPTS]:
        mask, _ = read_mask(files[n], "lesion")
        if _is_plausible(mask):
            return LesionShape(files[n].name, mask.data.astype(np.uint8), mask.grid.affine)
    return None


def _is_plausible(mask: Scan) -> bool:
    """Whether a mask can be the segmentation of a lesion."""
    inside = np.argwhere(mask.data)
    volume_ml = len(inside) * mask.grid.voxel_ml
    if not len(inside) or volume_ml > LARGEST_LESION_ML:
        return False
    is_box = len(inside) > 0.9 * np.prod(np.ptp(inside, axis=0) + 1)
    return not (is_box and volume_ml > 5)


def simulate_case(seed: int, number: int, files: Sequence[Path] = (), *, preset_name: str = "diffusion") -> Phantom:
    """Simulates one case of a cohort.

    Args:
        seed: Seed of the cohort.
        number: Number of the case.
        files: Files of real lesion masks in MNI space, whose shapes half of the infarcts take.
        preset_name: Name of the examination preset, a key of ``phantom.presets.PRESETS``.
    """
    own = case_seed(seed, number)
    shape = sample_lesion_shape(files, own)
    return generate(own, preset_name=preset_name, lesion_shape=shape, name=case_name(seed, number))


def simulate(
    out: str | Path,
    *,
    cases: int,
    seed: int,
    first: int = 0,
    preset_name: str = "monocentric",
    explain: bool = False,
    lesion_masks: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress = quiet,
) -> list[str]:
    """Simulates a cohort and writes it as a BIDS data set; the bytes do not depend on ``workers``.

    Args:
        out: Root folder of the data set.
        cases: Number of cases.
        seed: Seed of the cohort.
        first: Number of the first case.
        preset_name: Name of the examination preset, a key of ``phantom.presets.PRESETS``.
        explain: Write a page beside each case that shows the steps of its simulation.
        lesion_masks: Folder of lesion masks in MNI space, whose shapes half of the infarcts take.
        workers: Number of processes.
        overwrite: Replace existing cases.
        progress: Receives the progress by case.

    Returns:
        The names of the cases.

    Raises:
        OutputRefused: A case exists already, or the folder cannot be written.
        MissingInput: ``lesion_masks`` contains no mask.
        InputRejected: There is no such preset.
    """
    out, preset = Path(out), preset_named(preset_name)
    files = lesion_mask_files(None if lesion_masks is None else Path(lesion_masks))
    jobs = [(PhantomRef(seed, n, files, preset_name), out, explain, overwrite) for n in range(first, first + cases)]
    write_description(out, seed=seed)
    if preset.vessels:
        write_atlas(*atlas(), {number: name for name, number in LABELS.items()}, out)
    return list(progress.track(_write_cases(jobs, workers), what="Simulating phantoms", total=cases))


def _write_cases(jobs: list[Job], workers: int) -> Iterator[str]:
    """Writes cases with a number of processes; yields their names in order."""
    if workers == 1:
        yield from map(_write_case, jobs)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core for each case; more threads would compete for cores
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_case, jobs)


def _write_case(job: Job) -> str:
    """Simulates and writes one case; returns its name."""
    ref, out, explain, overwrite = job
    own, preset = case_seed(ref.seed, ref.number), preset_named(ref.preset)
    patient = simulate_patient(own, preset=preset, lesion_shape=sample_lesion_shape(ref.lesion_masks, own))
    phantom = phantom_from(patient, own, ref.preset, ref.name)
    if explain:
        write_explanation(patient, phantom.truths, out, name=ref.name, seed=own, overwrite=overwrite)
    write_phantom(phantom.case, phantom.truths, phantom.stored, phantom.parameters, out, overwrite=overwrite)
    return ref.name
