"""Many patches with clots, and with what resembles them, from few heads.

A head costs some 15 processor seconds, a patch of it a third of one. Heads are therefore kept in a folder, and training
asks for as many patches of each as it needs. A patch depends on the seed of the cohort and its own number only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from adumbra.core.atlas.deformation import Deformation
from adumbra.core.case import MIRROR_BRAIN, Case, Conversion, Scan, scan_from_array
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import STRUCTURES, Affine, Modality
from adumbra.phantom.annotator import lumen_mask
from adumbra.phantom.clot_contour import ClotAnnotator, contour
from adumbra.phantom.generate import phantom_from
from adumbra.phantom.local.findings import FINDINGS, Finding
from adumbra.phantom.local.head_image import head_image
from adumbra.phantom.local.kept_head import KeptHead, keep_head, read_head, write_head
from adumbra.phantom.local.patch import LocalExamination, is_seen, simulate_patch
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.preprocessing.atlas.alignment import align_to_atlas
from adumbra.preprocessing.normalisation import in_network_units, network_scales
from adumbra.preprocessing.phase import with_swi
from adumbra.preprocessing.pipeline import align_case
from adumbra.preprocessing.resampling import resample_case
from adumbra.preprocessing.vein_sign import Sign
from adumbra.simulation.cohort import case_seed, sample_lesion_shape
from adumbra.simulation.other_side import head_reflection, mirrored_mask, mirrored_scans, simulate_other_side

MODALITIES: tuple[Modality, ...] = ("swi", "phase", "tof", "dwi")
"""The modalities of a patch."""
PRESET = "emergency"
CLOT_SHARE = 0.6
"""Share of the patches that show a clot; the kinds of negatives are equally likely among the others."""
_CLOTS = "clot"
_OF_STRUCTURE = 0.25  # least share of a voxel that a vessel fills where it is labelled
_ATTEMPTS = 50  # findings of a kind that are sampled to find one in the field of view
_HELD_HEADS = 4  # heads that a process keeps open


@dataclass(frozen=True)
class ClotPatch:
    """A reference to a patch that is simulated when it is needed.

    Attributes:
        folder: Folder of the heads, see ``keep_heads``.
        heads: Names of the heads.
        seed: Seed of the cohort of patches.
        number: Number of the patch.
        side_mm: Side of the cube.
        factor: How many voxels of the simulation lie along one of the head.
    """

    folder: Path
    heads: tuple[str, ...]
    seed: int
    number: int
    side_mm: float = 56.0
    factor: int = 1

    @property
    def name(self) -> str:
        """The name of the patch, unique in the cohort."""
        return f"sub-clots{self.seed:02d}n{self.number:06d}"

    @property
    def head(self) -> str:
        """The name of the head."""
        return self.heads[self.number % len(self.heads)]

    def place_head(self) -> Deformation:
        """The place of the head in MNI152 space, estimated from an image of the whole head.

        Raises:
            MissingInput: The folder does not hold the head.
        """
        image, grid = head_image(_opened(self.folder / f"{self.head}.safetensors"))
        return align_to_atlas(image, grid).deformation

    def simulate(self) -> tuple[KeptHead, Finding, LocalExamination]:
        """The head, the finding and the images.

        Raises:
            MissingInput: The folder does not hold the head.
        """
        head, finding, rng = self._finding()
        return head, finding, simulate_patch(head, finding, side_mm=self.side_mm, factor=self.factor, rng=rng)

    def _finding(self) -> tuple[KeptHead, Finding, np.random.Generator]:
        """The head, the finding, and the source of everything that follows."""
        rng = np.random.default_rng([self.seed, self.number, 19])
        head = _opened(self.folder / f"{self.head}.safetensors")
        return head, _finding_in_view(rng, head), rng

    def open(self) -> Case:
        """The images on their own slices, with the masks of the clot, its lumen, the structures and the brain."""
        head, finding, local = self.simulate()
        truths = local.truths
        masks = {
            "thrombus": _mask(truths["lumen"], _contour(head, local, ClotAnnotator())),
            "lumen": _mask(truths["lumen"], lumen_mask(truths["lumen"].data)),
        }
        masks |= {name: _mask(truths[name], truths[name].data >= _OF_STRUCTURE) for name in STRUCTURES}
        masks["brain"] = _mask(truths["brain"], truths["brain"].data >= 0.5)
        note = Conversion("phantom.local", "case", f"Simulated: {finding.kind}", {"seed": self.seed})
        return Case(self.name, dict(local.scans), masks, (note,))

    def network_case(self, *, modalities: Sequence[Modality], spacing_mm: float, mirrored: bool = False) -> Case:
        """The patch at the spacing of a network, in the units of its whole head.

        Args:
            modalities: The input modalities of the network.
            spacing_mm: Spacing of its grid.
            mirrored: Whether to add the other side of the head as ``mirrors``, with the mask ``MIRROR_BRAIN``; without
                them where no sequence reaches it.
        """
        head = _opened(self.folder / f"{self.head}.safetensors")
        case = _simulated_last(self)
        prepared = _in_network_units(head, case, case.masks["thrombus"].grid, modalities, spacing_mm)
        return self._with_other_side(prepared, modalities, spacing_mm) if mirrored else prepared

    def _with_other_side(self, prepared: Case, modalities: Sequence[Modality], spacing_mm: float) -> Case:
        head, finding, _ = self._finding()
        reflection = _reflection(self.folder / f"{self.head}.safetensors")
        rng = np.random.default_rng([self.seed, self.number, 20])
        local = simulate_other_side(head, finding, reflection, side_mm=self.side_mm, factor=self.factor, rng=rng)
        if local is None:
            return prepared
        truth, grid = local.truths["brain"], prepared.masks["thrombus"].grid
        brain = _mask(truth, truth.data >= 0.5)
        other = Case(self.name, dict(local.scans), {"brain": brain})
        other = _in_network_units(head, other, brain.grid, modalities, spacing_mm)
        mirror_brain = mirrored_mask(other.masks["brain"], grid, reflection)
        return prepared.updated(
            mirrors=mirrored_scans(other.scans, grid, reflection), masks={**prepared.masks, MIRROR_BRAIN: mirror_brain}
        )


def _in_network_units(
    head: KeptHead, case: Case, grid: Grid, modalities: Sequence[Modality], spacing_mm: float
) -> Case:
    """The images and masks of a part of a head, resampled to the slices of a grid and then to a spacing."""
    case = case.updated(scans={m: s for m, s in case.scans.items() if m in modalities})
    sign: Sign = 1 if head.setup.gradient_echo.phase_sign > 0 else -1
    weighted = with_swi(case, vein_sign=sign) if {"swi", "phase"} <= set(modalities) else case
    prepared = resample_case(resample_case(weighted, grid), respaced(grid, (spacing_mm,) * 3))
    scans = {m: in_network_units(s, *head.scales[m]) for m, s in prepared.scans.items()}
    return prepared.updated(scans=scans)


def _finding_in_view(rng: np.random.Generator, head: KeptHead) -> Finding:
    """A finding that SWI or TOF shows; another kind where none of the first kind lies within their fields of view.

    Raises:
        InputRejected: They show no vessel.
    """
    negatives = [kind for kind in FINDINGS if kind != _CLOTS]
    kinds = [_CLOTS if rng.random() < CLOT_SHARE else str(rng.choice(negatives))]
    for number in range(1 + len(negatives)):
        if number == 1:
            kinds += [str(kind) for kind in rng.permutation(negatives)]
        for _ in range(_ATTEMPTS):
            finding = FINDINGS[kinds[number]](rng, head.arteries, head.veins)
            if is_seen(head, finding):
                return finding
    raise InputRejected(
        head.name,
        expected="arteries or veins within the field of view of SWI or TOF",
        found="none",
        do="leave the head out, and simulate another",
    )


def _contour(head: KeptHead, local: LocalExamination, annotator: ClotAnnotator) -> np.ndarray:
    """The clots as an annotator contours them; empty where nothing shows them."""
    truths = local.truths
    lost = truths["lost"].data if "lost" in truths else None
    noise = head.noise["swi"] / head.typical["swi"] if "swi" in head.noise else 0.0
    mask, _ = contour(
        annotator,
        lost=lost,
        lumen=truths["lumen"].data,
        without_flow=truths["without flow"].data,
        noise=noise,
        spacing_mm=truths["lumen"].grid.spacing_mm,
    )
    return mask


def _mask(truth: Scan, mask: np.ndarray) -> Scan:
    return scan_from_array(mask, truth.grid.affine)


@cache
def _reflection(path: Path) -> Affine:
    return head_reflection(_opened(path))


@lru_cache(maxsize=_HELD_HEADS)
def _opened(path: Path) -> KeptHead:
    if not path.is_file():
        raise MissingInput(path, expected="a kept head", found="no such file", do="call keep_heads first")
    return read_head(path)


@lru_cache(maxsize=1)
def _simulated_last(patch: ClotPatch) -> Case:
    """The patch, which two networks ask for in turn, each at its own spacing."""
    return patch.open()


def keep_heads(
    folder: Path,
    *,
    seed: int,
    count: int,
    lesion_masks: Sequence[Path] = (),
    progress: Progress = quiet,
) -> tuple[str, ...]:
    """Simulates heads without clots and keeps them; those that exist are not simulated again.

    Args:
        folder: Folder of the files.
        seed: Seed of the heads.
        count: Number of heads.
        lesion_masks: Files of real lesion masks in MNI space, whose shapes half of the infarcts take.
        progress: Reports the heads.

    Returns:
        The names of the heads, those of ``count`` cases of the cohort.
    """
    names = tuple(f"head{seed:02d}n{number:05d}" for number in range(count))
    missing = [n for n, name in enumerate(names) if not (folder / f"{name}.safetensors").is_file()]
    for number in progress.track(missing, what="Simulating heads", total=len(missing)):
        write_head(folder / f"{names[number]}.safetensors", kept_head(seed, number, names[number], lesion_masks))
    return names


def kept_head(seed: int, number: int, name: str, lesion_masks: Sequence[Path] = ()) -> KeptHead:
    """A head without clots with the network scales of its images.

    Args:
        seed: Seed of the heads.
        number: Number of the head.
        name: Its name.
        lesion_masks: Files of real lesion masks in MNI space.
    """
    own = case_seed(seed, number)
    shape = sample_lesion_shape(lesion_masks, own)
    patient = simulate_patient(own, preset=preset_named(PRESET), lesion_shape=shape, clots=lambda _: ())
    return keep_head(patient, name=name, scales=_scales(phantom_from(patient, own, PRESET).case))


def _scales(case: Case) -> Mapping[Modality, tuple[float, float]]:
    """The network scales of the images of the whole head."""
    used = case.updated(scans={m: s for m, s in case.scans.items() if m in MODALITIES})
    aligned = align_case(used, target="thrombus", modalities=MODALITIES, registration="never")
    return network_scales(aligned)
