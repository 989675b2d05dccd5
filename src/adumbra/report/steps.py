"""A page that goes step by step: a sentence, an equation, pictures with captions. Self-contained, without scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.report.figures import OUTLINE, data_uri
from adumbra.report.staging import published
from adumbra.report.templates import template
from adumbra.report.tiles import pixels_per_mm, tile, whole

HEIGHT = 262


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture and what it shows."""

    image: Image.Image
    caption: str


@dataclass(frozen=True, eq=False)
class Step:
    """One step.

    Attributes:
        title: Of the step.
        equation: The one behind it, as text; empty for none.
        text: What happens in it.
        panels: Pictures.
        facts: What was drawn in it, by name.
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
    outline: np.ndarray | None = None,
    smooth: bool = True,
) -> Image.Image:
    """An axial slice, seen from the patient's feet, with an outline on it where a mask is given.

    Args:
        volume: (X, Y, Z).
        grid: Of the volume; a tilted one is shown by its own slices.
        z_mm: The slice whose middle lies nearest to this height.
        window: The values drawn as the first and the last colour.
        colours: A colour map of matplotlib.
        outline: A mask on the same grid.
        smooth: Whether values are interpolated; labels must not be. What is not a number is black.
    """
    middle = np.array([(n - 1) / 2 for n in grid.shape[:2]])
    heights = [grid.world_mm((*middle, k))[2] for k in range(grid.shape[2])]
    box = whole(grid.shape)
    at = tile("axial", int(np.abs(np.array(heights) - z_mm).argmin()), box, grid,
              pixels_per_mm=pixels_per_mm(box, grid, height=HEIGHT))  # fmt: skip
    level = np.clip((at.cut(volume, smooth=smooth) - window[0]) / (window[1] - window[0]), 0, 1)
    picture = np.round(np.asarray(colormaps[colours](level))[..., :3] * 255).astype(np.uint8)
    if outline is not None:
        inner = at.cut(outline, smooth=False) > 0.5
        picture[ndimage.binary_dilation(inner) & ~inner] = OUTLINE
    return Image.fromarray(picture)


def projected(volumes: Sequence[tuple[np.ndarray, tuple[int, int, int]]], grid: Grid, *, axis: int) -> Image.Image:
    """Volumes with values from 0 to 1, each in its colour, as one sees them through a head of glass along an axis."""
    box, plane = whole(grid.shape), {0: "sagittal", 1: "coronal", 2: "axial"}[axis]
    at = tile(plane, 0, box, grid, pixels_per_mm=HEIGHT / (grid.shape[1] * grid.spacing_mm[1]))
    picture = np.zeros((at.size[1], at.size[0], 3), np.float32)
    for volume, colour in volumes:
        seen = at.cut(np.expand_dims(volume.max(axis=axis), axis))
        picture = np.maximum(picture, np.clip(seen, 0, 1)[..., None] * np.array(colour, np.float32))
    return Image.fromarray(picture.astype(np.uint8))


def write_steps(
    out: Path, name: str, *, title: str, about: str, steps: Sequence[Step], overwrite: bool = False
) -> Path:
    """Writes the page.

    Args:
        out: Folder.
        name: Of the file in it.
        title: Of the page.
        about: A sentence below it.
        steps: In their order.
        overwrite: Replace an earlier page.

    Returns:
        The file.

    Raises:
        OutputRefused: It is there already, or cannot be written.
    """
    page = template("steps.html").render(title=title, about=about, steps=steps, data_uri=data_uri)
    return published({name: page.encode()}, out, overwrite=overwrite)[0]
