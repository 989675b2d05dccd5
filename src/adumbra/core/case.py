"""What travels before the network: scans, and the case that holds them.

A ``Scan`` is one sequence on one grid; a ``Case`` is what is known of one examination. Readers give a case whose scans
lie each on its own grid; ``preprocessing.alignment`` gives one whose scans share a grid. Both are frozen: a station returns a new
case, and says in its provenance what it did.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid, reoriented
from adumbra.core.types import Modality, Target

__all__ = ["Case", "Conversion", "Grid", "Scan", "scan_from"]


@dataclass(frozen=True)
class Conversion:
    """One thing that was done to a file or a case on the way: the line of a provenance.

    Attributes:
        station: Where, such as ``"cases.nifti"`` or ``"preprocessing.registration"``.
        subject: To what: a modality or mask name, or ``"case"``.
        what: A sentence for people, past tense: "ADC values multiplied by 0.001 (file in 10⁻⁶ mm²/s)".
        values: The numbers behind it, JSON-serialisable.
        warning: True where a reader of the report must be told.
    """

    station: str
    subject: str
    what: str
    values: Mapping[str, object] = field(default_factory=dict)
    warning: bool = False


@dataclass(frozen=True, eq=False)
class Scan:
    """One volume on one grid.

    Attributes:
        data: (X, Y, Z), axes towards RAS+. float32 for images (units of ``adumbra.core.types``), bool for masks.
        grid: Where ``data`` lies.
        native: The grid as it was stored, before any reorientation or resampling; results go back to it.
        source: Name of the file (never a path: folder names may identify a patient); empty for made data.
        sha256: Hash of the file's bytes; empty for made data.
        b_value: In s/mm², of a ``dwi``; None where unknown or not applicable.
        valid_mask: True where the voxel was measured; None means everywhere. False marks NaN holes that were filled and
            what lies outside the field of view after resampling.
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
                do="give the array and the grid that belong together",
            )
        self.data.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Case:
    """One examination: its scans by modality, masks by name, and everything that was done to them.

    Attributes:
        name: A pseudonym safe to print, such as ``"sub-strokecase0009_ses-0001"``.
        scans: By modality; any may be missing.
        masks: Boolean scans: the targets where a truth is known, and ``"brain"`` once it was found or given.
        provenance: Every conversion so far, in order.
    """

    name: str
    scans: Mapping[Modality, Scan]
    masks: Mapping[str, Scan] = field(default_factory=dict)
    provenance: tuple[Conversion, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scans", MappingProxyType(dict(self.scans)))
        object.__setattr__(self, "masks", MappingProxyType(dict(self.masks)))

    @property
    def grid(self) -> Grid:
        """The grid that all scans share.

        Raises:
            GridMismatch: Scans lie on different grids; ``preprocessing.alignment`` brings them to one.
        """
        (first_name, first), *others = self.scans.items()
        for name, scan in others:
            if not scan.grid.coincides(first.grid):
                raise GridMismatch(
                    self.name,
                    expected=f"{name} on the grid of {first_name}",
                    found=f"grids {first.grid.distance_mm(scan.grid):.3g} mm apart",
                    do="call adumbra.preprocessing.alignment first",
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
                do=f"give --{modality} FILE, or ask for a target that needs what there is",
            )
        return self.scans[modality]

    def truth(self, target: Target) -> Scan | None:
        """The outlined mask of a target, or None where nobody outlined one."""
        return self.masks.get(target)

    def updated(self, *conversions: Conversion, **changes: object) -> "Case":
        """The same case with fields replaced and conversions added to its provenance."""
        return replace(self, provenance=(*self.provenance, *conversions), **changes)  # type: ignore[arg-type]


def scan_from(data: np.ndarray, affine: np.ndarray, **about: object) -> Scan:
    """A scan from an array and its affine, turned towards RAS+; ``native`` remembers how it lay."""
    native = Grid(data.shape, affine)
    turned, grid = reoriented(data, native)
    kind = bool if turned.dtype == bool else np.float32
    return Scan(np.array(turned, dtype=kind), grid, native, **about)  # type: ignore[arg-type]
