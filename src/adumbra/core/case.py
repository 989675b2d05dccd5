"""What travels before the network: scans, and the case that holds them.

A ``Scan`` is one sequence on one grid; a ``Case`` holds the scans and masks of one examination. Readers return a case
whose scans lie each on its own grid, and ``preprocessing.alignment`` returns one whose scans share a grid. Both are
frozen: a stage returns a new case and records what it did in the provenance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from adumbra.core.atlas.head_context import HeadContext
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.types import Modality, Target

__all__ = ["BRAIN_WITH_MARGIN", "MIRROR_BRAIN", "REQUESTED", "Case", "Conversion", "Grid", "Scan", "scan_from_array"]

MIRROR_BRAIN = "mirror brain"
"""Name of the mask of the brain on the other side, for a case with ``Case.mirrors``."""
BRAIN_WITH_MARGIN = "brain with margin"
"""Name of the mask of the brain with the margin that networks segment, where it was computed before."""
REQUESTED = "requested"
"""Name of the mask of the voxels whose probability is needed; without it all of the brain is."""


@dataclass(frozen=True)
class Conversion:
    """One line of a provenance: something that was done to a file or a case.

    Attributes:
        stage: The module that did it, such as ``"cases.nifti"`` or ``"preprocessing.registration"``.
        subject: The name of the modality or mask that it was done to, or ``"case"``.
        what: A sentence in the past tense, for people: "ADC values multiplied by 0.001 (file in 10⁻⁶ mm²/s)".
        values: The numbers behind the sentence, JSON-serialisable.
        warning: Whether the reader of the report must be warned.
    """

    stage: str
    subject: str
    what: str
    values: Mapping[str, object] = field(default_factory=dict)
    warning: bool = False


@dataclass(frozen=True, eq=False)
class Scan:
    """One volume on one grid.

    Attributes:
        data: (X, Y, Z), axes towards RAS+. float32 for images (units of ``adumbra.core.types``), bool for masks.
        grid: Grid of ``data``.
        native: Grid of the stored file, before any reorientation or resampling; results are written on it.
        source: Name of the file (never a path: folder names may identify a patient); empty for synthetic data.
        sha256: Hash of the bytes of the file; empty for synthetic data.
        b_value: b-value of a ``dwi`` in s/mm²; None where unknown or not applicable.
        valid_mask: (X, Y, Z), True where the voxel was measured; None is everywhere. False marks NaN voxels that were
            filled, and voxels outside the field of view after resampling.
    """

    data: np.ndarray
    grid: Grid
    native: Grid
    source: str = ""
    sha256: str = ""
    b_value: float | None = None
    valid_mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.data.shape != self.grid.shape:
            raise GridMismatch(
                self.source or "scan",
                expected=f"data of the grid's shape {self.grid.shape}",
                found=f"shape {self.data.shape}",
                do="give the grid that belongs to the array",
            )
        self.data.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Case:
    """One examination: its scans by modality, masks by name, and everything that was done to them.

    Attributes:
        name: A pseudonym that is safe to print, such as ``"sub-strokecase0009_ses-0001"``.
        scans: Scans by modality; any may be missing.
        masks: Boolean scans by name: targets whose ground truth is known, and ``"brain"`` once it is given or computed.
        provenance: Every conversion so far, in order.
        reflection: (4, 4), RAS+ mm of a point to those of the same place on the other side of the head, see
            ``preprocessing.reflection``; None where it was not estimated.
        mirrors: Scans of the other side of the head on the grid of ``scans``, where the case is a part of a head and
            its own scans do not contain it; else empty.
        context: What the context inputs of a network are computed from, see ``preprocessing.head_context``; None where
            it was not estimated.
    """

    name: str
    scans: Mapping[Modality, Scan]
    masks: Mapping[str, Scan] = field(default_factory=dict)
    provenance: tuple[Conversion, ...] = ()
    reflection: np.ndarray | None = None
    mirrors: Mapping[Modality, Scan] = field(default_factory=dict)
    context: HeadContext | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scans", MappingProxyType(dict(self.scans)))
        object.__setattr__(self, "masks", MappingProxyType(dict(self.masks)))

    @property
    def grid(self) -> Grid:
        """The grid that all scans share.

        Raises:
            GridMismatch: Scans lie on different grids; ``preprocessing.alignment`` resamples them to one.
        """
        (first_name, first), *others = self.scans.items()
        for name, scan in others:
            if not scan.grid.coincides(first.grid):
                raise GridMismatch(
                    self.name,
                    expected=f"{name} on the grid of {first_name}",
                    found=f"grids {first.grid.distance_mm(scan.grid):.3g} mm apart",
                    do="call adumbra.preprocessing.alignment.align first",
                )
        return first.grid

    def scan(self, modality: Modality) -> Scan:
        """The scan of a modality.

        Raises:
            MissingInput: The case has no such scan.
        """
        if modality not in self.scans:
            raise MissingInput(
                self.name,
                expected=f"a {modality} scan",
                found=", ".join(self.scans) or "no scans",
                do=f"give --{modality} FILE, or choose a target that the existing scans suffice for",
            )
        return self.scans[modality]

    def truth(self, target: Target) -> Scan | None:
        """The ground truth mask of a target; None where there is none."""
        return self.masks.get(target)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences of the provenance that the reader of a result must see, each once."""
        return tuple(dict.fromkeys(f"{c.subject}: {c.what}." for c in self.provenance if c.warning))

    @property
    def simulated(self) -> bool:
        """Whether the provenance says that the images are those of a phantom."""
        return any(c.values.get("simulated") is True for c in self.provenance)

    def updated(self, *conversions: Conversion, **changes: object) -> "Case":
        """The case with fields replaced and conversions added to its provenance."""
        return replace(self, provenance=(*self.provenance, *conversions), **changes)  # type: ignore[arg-type]


def annotator_mask_name(target: Target, number: int) -> str:
    """The name in ``Case.masks`` of an annotator's mask of a target; annotators are numbered from 1."""
    return f"{target}-annotator-{number}"


def scan_from_array(data: np.ndarray, affine: np.ndarray, **metadata: object) -> Scan:
    """A scan from an array and its affine, reoriented to RAS+; ``native`` is the grid before.

    Args:
        data: (X, Y, Z), axes as ``affine`` says.
        affine: Voxel index to RAS+ mm.
        metadata: Further fields of ``Scan``.
    """
    native = Grid(data.shape, affine)
    reoriented, grid = reorient(data, native)
    dtype = bool if reoriented.dtype == bool else np.float32
    return Scan(np.array(reoriented, dtype=dtype), grid, native, **metadata)  # type: ignore[arg-type]
