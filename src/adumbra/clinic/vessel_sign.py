"""The susceptibility vessel sign of a clot on SWI, and the two-layered sign, over the draws.

The sign is a dark vessel that is wider than the artery of the other side (Kang et al. 2017 and others). In each draw:

- The **blooming** is the median full width at half minimum of SWI over cross-sections of the clot, 1 mm apart.
- The **contrast** is the median loss of signal in them, as a share of the surroundings. The sign needs ``LEAST_LOSS``.
- It is compared with the **contralateral artery**, whose width on TOF is measured at the mirror image of the clot (an
  open artery is bright there). The reflection of a head is off by about 6 mm, so that the brightest place within
  ``SEARCH_MM`` is taken. Without TOF, or where no artery is bright, the **expected lumen** of the named artery in the
  atlas of the phantom takes its place.

Blooming is larger than the clot by physics, so that its width is no lumen. Cross-sections that run into other dark
structures, as at the base of the skull, are left out; where none is left, nothing is said.

The **two-layered sign** (Yamamoto et al. 2015) is a rim that is darker than the core. It is the mean over the
cross-sections of core minus rim, over the surroundings, with an interval of 95 %. It needs ``LEAST_VOXELS`` voxels
across the blooming: one in the core, one in each rim, and one for the partial volumes between them. On coarser images
it cannot be said.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan, nan
from typing import Final, Literal

import numpy as np

from adumbra.clinic.distribution import LEVEL, Distribution, percent
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.core.atlas.lumen import Lumen
from adumbra.core.errors import GridMismatch
from adumbra.core.geometry.centre_line import CentreLine, centre_line
from adumbra.core.geometry.cross_sections import Section, cross_sections
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations, cites
from adumbra.core.types import Affine, Mask, Volume

LEAST_LOSS = 0.2
"""Loss of signal, as a share of the surroundings, from which a sign is visible. Experts who contour the clots of the
phantom see it from the same share of the signal of white matter on (``phantom.clot_contour``)."""
LEAST_BRIGHT = 0.5
"""Signal of an open artery on TOF above its surroundings, as a share of them, from which its width is measured."""
SEARCH_MM = 6.0
"""Distance from the mirror image within which the contralateral artery is sought, the error of the reflection."""
LEAST_VOXELS = 4.0
"""Voxels across the blooming from which the two-layered sign is computed."""
CANNOT: Final = "cannot be said at this resolution"
"""What is said of the two-layered sign on coarse images."""
_STEP_MM = 1.0
_SIGMAS = 1.96

Layers = Literal["two-layered", "not two-layered", "uncertain", "cannot be said at this resolution"]


@dataclass(frozen=True, eq=False)
class SignImages:
    """The images of a case that the sign is measured on, on one grid.

    Attributes:
        swi: (X, Y, Z), SWI or the magnitude of a gradient echo.
        grid: The grid.
        tof: (X, Y, Z), TOF; None without.
        reflection: (4, 4), RAS+ mm of a point to those of its mirror image (``preprocessing.reflection``); None where
            it was not estimated.

    Raises:
        GridMismatch: A volume does not have the shape of the grid.
    """

    swi: Volume
    grid: Grid
    tof: Volume | None = None
    reflection: Affine | None = None

    def __post_init__(self) -> None:
        for name, volume in (("SWI", self.swi), ("TOF", self.tof)):
            if volume is not None and volume.shape != self.grid.shape:
                raise GridMismatch(
                    name,
                    expected=f"shape {self.grid.shape}, that of the grid",
                    found=f"shape {volume.shape}",
                    do="resample all images to one grid",
                )


@dataclass(frozen=True)
class SignMeasures:
    """The sign in one draw; nan where it is not defined.

    Attributes:
        blooming_mm: Width of the blooming.
        loss: Loss of signal, as a share of the surroundings.
        contralateral_mm: Width of the contralateral artery on TOF.
        layering: Core minus rim, as a share of the surroundings.
        layering_error: Standard error of ``layering`` over the cross-sections.
        voxels_across: Voxels across the blooming.
    """

    blooming_mm: float = nan
    loss: float = nan
    contralateral_mm: float = nan
    layering: float = nan
    layering_error: float = nan
    voxels_across: float = nan


def measure_sign(mask: Mask, images: SignImages) -> SignMeasures:
    """The sign of one clot in one mask.

    Args:
        mask: (X, Y, Z), the clot.
        images: The images of the case.
    """
    line = centre_line(mask, images.grid)
    if not len(line.points_mm):
        return SignMeasures()
    line = line.resampled(_STEP_MM)
    sections = cross_sections(images.swi, images.grid, line)
    widths = np.array([section.width_mm for section in sections])
    blooming = _median(widths)
    across = max(_voxel_across_mm(images.grid, tangent) for tangent in line.tangents)
    layers = [s.layering for s in sections if not isnan(s.layering)]
    independent = max(1.0, line.length_mm / max(images.grid.spacing_mm))
    error = float(np.std(layers, ddof=1) / np.sqrt(min(independent, len(layers)))) if len(layers) > 1 else nan
    return SignMeasures(
        blooming,
        _median(np.array([section.contrast for section in sections])),
        _contralateral_mm(line, images),
        float(np.mean(layers)) if layers else nan,
        error,
        blooming / across,
    )


def _contralateral_mm(line: CentreLine, images: SignImages) -> float:
    """The width of the artery on TOF at the mirror image of a clot; nan where it is not seen."""
    if images.tof is None or images.reflection is None:
        return nan
    mirror = CentreLine(line.points_mm @ images.reflection[:3, :3].T + images.reflection[:3, 3])
    sections: Iterable[Section] = cross_sections(images.tof, images.grid, mirror, bright=True, search_mm=SEARCH_MM)
    return _median(np.array([s.width_mm for s in sections if s.contrast >= LEAST_BRIGHT]))


def _median(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(np.median(defined)) if len(defined) else nan


def _voxel_across_mm(grid: Grid, tangent: np.ndarray) -> float:
    """The longest edge of a voxel, as seen along a direction."""
    edges = grid.affine[:3, :3].T
    return float(np.linalg.norm(edges - (edges @ tangent)[:, None] * tangent, axis=1).max())


@dataclass(frozen=True)
class VesselSign:
    """The susceptibility vessel sign of a clot over the draws.

    Attributes:
        blooming: Width of the blooming on SWI in mm.
        loss: Loss of signal, as a share of the surroundings.
        contralateral: Width of the contralateral artery on TOF in mm.
        layering: Core minus rim, as a share of the surroundings.
        layering_error: Median standard error of ``layering`` over the cross-sections.
        voxels_across: Median number of voxels across the blooming.
        lumen: The expected lumen of the artery; None where the artery is uncertain.
    """

    blooming: Distribution
    loss: Distribution
    contralateral: Distribution
    layering: Distribution
    layering_error: float
    voxels_across: float
    lumen: Lumen | None = None

    @property
    def compared_mm(self) -> tuple[float, ...]:
        """The width to compare with in each draw: that of the contralateral artery, else the expected lumen."""
        expected = nan if self.lumen is None else self.lumen.median_mm
        return tuple(expected if isnan(width) else width for width in self.contralateral.draws)

    @property
    def probability(self) -> float:
        """Share of the draws in which the sign is present, among those where it can be measured; nan without any."""
        widths = np.array([self.blooming.draws, self.loss.draws, self.compared_mm])
        defined = ~np.isnan(widths).any(axis=0)
        present = (widths[1] >= LEAST_LOSS) & (widths[0] > widths[2])
        return float(present[defined].mean()) if defined.any() else nan

    @property
    def layering_interval(self) -> tuple[float, float]:
        """The interval of 95 % of the layering, from the spread of the draws and of the cross-sections together."""
        spread = float(np.nanstd(self.layering.draws)) if not isnan(self.layering.median) else nan
        half = _SIGMAS * float(np.hypot(spread, self.layering_error))
        return self.layering.median - half, self.layering.median + half

    @property
    def layers(self) -> Layers:
        """What is said of the two-layered sign."""
        low, high = self.layering_interval
        if not self.voxels_across >= LEAST_VOXELS or isnan(low):
            return CANNOT
        return "two-layered" if low > 0.0 else "not two-layered" if high < 0.0 else "uncertain"

    def sentence(self) -> str:
        """The sign in words, with the widths that it rests on."""
        probability = self.probability
        if isnan(probability):
            return f"The susceptibility vessel sign cannot be said: {self._missing()}."
        word = "present" if probability >= 0.95 else "absent" if probability <= 0.05 else "uncertain"
        text = f"Susceptibility vessel sign {word}"
        if word == "uncertain":
            text += f" (probability {percent(probability)})"
        text += f": blooming {self.blooming.median:.1f} mm wide, signal loss {percent(self.loss.median)}"
        if not isnan(self.contralateral.median):
            text += f"; contralateral artery {self.contralateral.median:.1f} mm on TOF"
        if self.lumen is not None:
            text += f"; expected lumen {self.lumen.median_mm:.1f} mm"
        return f"{text}. Two-layered sign: {self.layers}."

    def _missing(self) -> str:
        if isnan(self.blooming.median):
            return "the clot runs into other dark structures, or lies at the border of the image"
        return "neither the contralateral artery nor an expected lumen is known"

    def as_json(self) -> dict[str, object]:
        """Plain values; null where undefined."""
        low, high = self.layering_interval
        return {
            "probability": None if isnan(self.probability) else self.probability,
            "blooming_mm": self.blooming.as_json(),
            "loss": self.loss.as_json(),
            "contralateral_mm": self.contralateral.as_json(),
            "expected_lumen_mm": None if self.lumen is None else self.lumen.median_mm,
            "layering": self.layering.as_json(),
            "layering_interval": None if isnan(low) else [low, high],
            "layers": self.layers,
            "sentence": self.sentence(),
        }


@cites("Kang2017", "Yamamoto2015", *citations(centre_line))
def vessel_sign(
    masks: Iterable[Mask], images: SignImages, *, lumen: Lumen | None = None, level: float = LEVEL
) -> VesselSign:
    """The susceptibility vessel sign of one clot.

    Args:
        masks: The clot in each draw, (X, Y, Z) on the grid of the images. Each is used once and released.
        images: The images of the case.
        lumen: The expected lumen of its artery (``core.atlas.lumen``); None where the artery is uncertain.
        level: Level of the central intervals, between 0 and 1.

    Raises:
        MissingInput: There is no mask.
        GridMismatch: A mask does not have the shape of the grid.
        InputRejected: The level is not between 0 and 1.
    """
    rows = []
    for mask in masks:
        check_mask(mask, images.grid)
        rows.append(measure_sign(mask, images))
    check_draws(len(rows), "vessel sign")

    def row(label: str, unit: str, values: Iterable[float]) -> Distribution:
        return Distribution(label, unit, tuple(values), level)

    return VesselSign(
        row("blooming", "mm", (r.blooming_mm for r in rows)),
        row("signal loss", "", (r.loss for r in rows)),
        row("contralateral artery", "mm", (r.contralateral_mm for r in rows)),
        row("layering", "", (r.layering for r in rows)),
        _median(np.array([r.layering_error for r in rows])),
        _median(np.array([r.voxels_across for r in rows])),
        lumen,
    )
