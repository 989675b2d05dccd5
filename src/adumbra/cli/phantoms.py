"""The cases that a command works on: a data set, or simulated patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Group, Parameter

from adumbra.cli.options import NonNegative, PhantomPreset, UsageError, unwrap_docstring

if TYPE_CHECKING:
    from adumbra.training.cache import CaseSource


@Parameter(name="*", group=Group("Simulated cases, in place of a data set", sort_key=3))
@unwrap_docstring
@dataclass(frozen=True)
class PhantomOptions:
    """Patients that are simulated when they are needed, without files in between.

    Attributes:
        n_phantoms: Number of patients to simulate.
        phantom_seed: Seed of the cohort. The cases are those of adumbra simulate with the same --seed.
        phantom_preset: The examination, as in adumbra simulate --preset.
        lesion_masks: Folder of lesion masks in MNI space. Half of the infarcts take their shapes.
    """

    n_phantoms: NonNegative = 0
    phantom_seed: NonNegative = 0
    phantom_preset: PhantomPreset = "diffusion"
    lesion_masks: Path | None = None


NO_PHANTOMS = PhantomOptions()


def input_cases(
    data: Path | None, phantoms: PhantomOptions, *, option: str = "--data FOLDER"
) -> "Sequence[CaseSource]":
    """The cases of a data set, or simulated patients.

    Args:
        data: The data set, or None.
        phantoms: The patients to simulate; none where ``n_phantoms`` is 0.
        option: How the command names ``data``, for the error.

    Raises:
        UsageError: Both were given, or neither.
    """
    if (data is None) == (phantoms.n_phantoms == 0):
        raise UsageError(f"give either {option} or --n-phantoms N")
    if data is not None:
        from adumbra.cases.registry import find_cases

        return find_cases(data)
    from adumbra.simulation.cohort import PhantomRef, lesion_mask_files

    masks, seed, preset = lesion_mask_files(phantoms.lesion_masks), phantoms.phantom_seed, phantoms.phantom_preset
    return [PhantomRef(seed, number, masks, preset) for number in range(phantoms.n_phantoms)]
