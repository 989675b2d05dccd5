"""Many phantoms: seeds in, a BIDS data set out; the same bytes whatever the number of workers.

Case ``n`` of cohort ``seed`` is drawn from ``seed * 1_000_000 + n`` alone, so that cohorts of different seeds share no
case, and a cohort can be made longer without changing what is there.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from adumbra.cases.scan import read_mask
from adumbra.core.case import Case, Scan
from adumbra.core.errors import MissingInput
from adumbra.core.progress import Progress, quiet
from adumbra.phantom.generate import Phantom, generate, phantom_of
from adumbra.phantom.pathology.lesion import LesionShape
from adumbra.phantom.patient import has_clot, simulate_patient
from adumbra.phantom.presets import preset
from adumbra.phantom.vasculature.territories import LABELS, atlas
from adumbra.report.dataset import write_atlas, write_description, write_phantom
from adumbra.simulation.explain import write_explanation

LARGEST_OUTLINE_ML = 600.0
Job = tuple["PhantomRef", Path, bool, bool]


def case_seed(seed: int, number: int) -> int:
    """The seed of case ``number`` of cohort ``seed``."""
    return seed * 1_000_000 + number


@dataclass(frozen=True)
class PhantomRef:
    """A phantom that can be drawn later, in another process too; for training without files in between."""

    seed: int
    number: int
    outlines: tuple[Path, ...] = ()
    preset: str = "diffusion"
    """What examination it has, of ``phantom.presets.PRESETS``."""

    @property
    def name(self) -> str:
        """As the drawn case will be called."""
        return case_name(self.seed, self.number)

    def open(self) -> Case:
        """The case."""
        return phantom(self.seed, self.number, self.outlines, preset_name=self.preset).case

    def has_clot(self) -> bool:
        """Whether it will have a clot; far cheaper than to open it."""
        own = case_seed(self.seed, self.number)
        return has_clot(own, plan=preset(self.preset), lesion_shape=_outline_of(own, self.outlines))


def case_name(seed: int, number: int) -> str:
    """The name of case ``number`` of cohort ``seed``, a BIDS subject."""
    return f"sub-phantom{seed:02d}n{number:05d}"


def lesion_mask_files(folder: Path | None) -> tuple[Path, ...]:
    """The lesion masks of a folder (NIfTI in MNI space), sorted by name; none where no folder is given.

    Raises:
        MissingInput: The folder holds none.
    """
    if folder is None:
        return ()
    found = folder.iterdir() if folder.is_dir() else iter(())
    files = tuple(sorted(p for p in found if p.name.endswith((".nii", ".nii.gz"))))
    if not files:
        raise MissingInput(
            folder,
            expected="a folder of lesion masks in MNI space (.nii, .nii.gz)",
            found="no such file",
            do="name the folder that holds the masks themselves",
        )
    return files


def sample_lesion_shape(files: Sequence[Path], seed: int) -> LesionShape | None:
    """A real outline for a case: drawn among the files by the case's seed; implausible ones are passed over.

    Passed over: more than 600 ml, empty, or filling more than 90 % of their bounding box (drawn as boxes).
    """
    order = np.random.default_rng([seed, 1]).permutation(len(files))
    for n in order[:20]:
        mask, _ = read_mask(files[n], "lesion")
        if _plausible(mask):
            return LesionShape(files[n].name, mask.data.astype(np.uint8), mask.grid.affine)
    return None


def _plausible(mask: Scan) -> bool:
    inside = np.argwhere(mask.data)
    volume_ml = len(inside) * mask.grid.voxel_ml
    if not len(inside) or volume_ml > LARGEST_OUTLINE_ML:
        return False
    boxy = len(inside) > 0.9 * np.prod(np.ptp(inside, axis=0) + 1)
    return not (boxy and volume_ml > 5)


def phantom(seed: int, number: int, files: Sequence[Path] = (), *, preset_name: str = "diffusion") -> Phantom:
    """Case ``number`` of cohort ``seed``, examined as a preset of ``phantom.presets`` has it."""
    own = case_seed(seed, number)
    return generate(own, preset_name=preset_name, lesion_shape=_outline_of(own, files), name=case_name(seed, number))


def _outline_of(seed: int, files: Sequence[Path]) -> LesionShape | None:
    return sample_lesion_shape(files, seed) if files else None


def simulate(
    out: Path,
    *,
    cases: int,
    seed: int,
    first: int = 0,
    preset_name: str = "monocentric",
    explain: bool = False,
    lesion_masks: Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress = quiet,
) -> list[str]:
    """Draws a cohort and writes it as a BIDS data set; the bytes do not depend on ``workers``.

    Args:
        out: Root of the data set.
        cases: How many.
        seed: Of the cohort.
        first: Number of the first case.
        preset_name: What examinations they have: of ``phantom.presets.PRESETS``.
        explain: Write beside each case the page that shows how it grew.
        lesion_masks: Folder of lesion masks in MNI space; half of the infarcts take their shapes.
        workers: Processes.
        overwrite: Replace cases that are there.
        progress: Told of each case.

    Returns:
        The names of the cases.

    Raises:
        OutputRefused: A case is there already, or the folder cannot be written.
        MissingInput: ``lesion_masks`` holds no mask.
        InputRejected: There is no such preset.
    """
    plan = preset(preset_name)
    files = lesion_mask_files(lesion_masks)
    jobs = [(PhantomRef(seed, n, files, preset_name), out, explain, overwrite) for n in range(first, first + cases)]
    write_description(out, seed=seed)
    if plan.vessels:
        write_atlas(*atlas(), {number: name for name, number in LABELS.items()}, out)
    return list(progress.track(_written(jobs, workers), what="Drawing phantoms", total=cases))


def _written(jobs: list[Job], workers: int) -> Iterator[str]:
    if workers == 1:
        yield from map(_write_one, jobs)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one case, one core: threads of many workers would fight
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_one, jobs)


def _write_one(job: Job) -> str:
    ref, out, explain, overwrite = job
    own, plan = case_seed(ref.seed, ref.number), preset(ref.preset)
    made = simulate_patient(own, plan=plan, lesion_shape=_outline_of(own, ref.outlines))
    one = phantom_of(made, own, ref.preset, ref.name)
    if explain:
        write_explanation(made, one.truths, out, name=ref.name, seed=own, overwrite=overwrite)
    write_phantom(one.case, one.truths, one.stored, one.parameters, out, overwrite=overwrite)
    return ref.name
