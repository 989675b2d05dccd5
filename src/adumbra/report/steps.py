"""A page of steps, each with a text, an equation and pictures with captions. It is self-contained, without scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image
from scipy import ndimage

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.geometry.grid import Grid
from adumbra.report.figures import SEGMENTATION_COLOUR, data_uri
from adumbra.report.templates import template
from adumbra.report.tiles import pixels_per_mm, tile, whole_box

HEIGHT = 262
"""Height of an axial picture in pixels."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture and its caption."""

    image: Image.Image
    caption: str


@dataclass(frozen=True, eq=False)
class Step:
    """One step.

    Attributes:
        title: Title of the step.
        equation: Equation of the step as text; empty for none.
        text: Description of the step.
        panels: Pictures of the step.
        facts: Parameters of the step by name, as text.
    """

    title: str
    equation: str
    text: str
    panels: Sequence[Panel] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def axial(
    volume: np.ndarray,
    grid: Grid,
    z_mm: float,
    *,
    window: tuple[float, float],
    colours: str = "gray",
    mask: np.ndarray | None = None,
    smooth: bool = True,
) -> Image.Image:
    """An axial slice, seen from the patient's feet, with the contour of a mask if one is given.

    Args:
        volume: Values, (X, Y, Z); nan is black.
        grid: Grid of the volume; an oblique one is shown by its own slices.
        z_mm: Height in RAS+ mm; the slice with the nearest centre is shown.
        window: Values of the first and of the last colour.
        colours: Name of a colour map of matplotlib.
        mask: Mask on the same grid, or None.
        smooth: True interpolates the values; labels need False.
    """
    middle = np.array([(n - 1) / 2 for n in grid.shape[:2]])
    heights = [grid.world_mm((*middle, k))[2] for k in range(grid.shape[2])]
    box = whole_box(grid.shape)
    at = tile("axial", int(np.abs(np.array(heights) - z_mm).argmin()), box, grid,
              pixels_per_mm=pixels_per_mm(box, grid, height=HEIGHT))  # fmt: skip
    level = np.clip((at.cut(volume, smooth=smooth) - window[0]) / (window[1] - window[0]), 0, 1)
    picture = np.round(np.asarray(colormaps[colours](level))[..., :3] * 255).astype(np.uint8)
    if mask is not None:
        inside = at.cut(mask, smooth=False) > 0.5
        picture[ndimage.binary_dilation(inside) & ~inside] = SEGMENTATION_COLOUR
    return Image.fromarray(picture)


def projected(volumes: Sequence[tuple[np.ndarray, tuple[int, int, int]]], grid: Grid, *, axis: int) -> Image.Image:
    """The maximum intensity projection of volumes with values from 0 to 1, each in its colour, along an axis."""
    box, plane = whole_box(grid.shape), {0: "sagittal", 1: "coronal", 2: "axial"}[axis]
    at = tile(plane, 0, box, grid, pixels_per_mm=HEIGHT / (grid.shape[1] * grid.spacing_mm[1]))
    picture = np.zeros((at.size[1], at.size[0], 3), np.float32)
    for volume, colour in volumes:
        projection = at.cut(np.expand_dims(volume.max(axis=axis), axis))
        picture = np.maximum(picture, np.clip(projection, 0, 1)[..., None] * np.array(colour, np.float32))
    return Image.fromarray(picture.astype(np.uint8))


def write_steps(
    out: Path, name: str, *, title: str, subtitle: str, steps: Sequence[Step], overwrite: bool = False
) -> Path:
    """Writes the page.

    Args:
        out: Folder of the page.
        name: Name of the file.
        title: Title of the page.
        subtitle: Sentence below the title.
        steps: Steps in their order.
        overwrite: Replace an earlier page.

    Returns:
        The path of the page.

    Raises:
        OutputRefused: The page exists already, or cannot be written.
    """
    page = template("steps.html").render(title=title, subtitle=subtitle, steps=steps, data_uri=data_uri)
    return write_all_atomically({name: page.encode()}, out, overwrite=overwrite)[0]
