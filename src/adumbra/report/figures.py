"""Pictures: scans with an outline or with a map over them, as RGB arrays, and their data URIs.

Composed in NumPy and written by Pillow, since a report holds a hundred of them.
"""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from adumbra.core.results import Maps, Region
from adumbra.core.types import Mask
from adumbra.report.tiles import LETTERS, Box, Tile, box_about, pixels_per_mm, tile

OUTLINE = (64, 214, 255)
TRUTH = (255, 210, 63)
MARK = (255, 255, 255)
TOP_NATS = float(np.log(2.0))
CLEAR_NATS = 0.05
"""Voxels below it are left clear; from ``SOLID_SHARE`` of the scale on, colours cover the scan."""
SOLID_SHARE = 0.5
COVER = 0.88


@dataclass(frozen=True)
class Scale:
    """A colour scale: a perceptually uniform colour map and the value of its upper end, in nats."""

    colours: str
    top: float


ENTROPY = Scale("magma", TOP_NATS)


def epistemic_scale(maps: Maps) -> Scale:
    """A scale of its own for the epistemic part, which is often small: up to its largest value, at least 0.05 nats."""
    return Scale("viridis", max(0.05, float(np.ceil(float(maps.epistemic.max()) * 20.0) / 20.0)))


@dataclass(frozen=True, eq=False)
class Scene:
    """What all pictures of a report share.

    Attributes:
        background: Scans by modality, on the grid of the maps; the first one is the reference.
        windows: The values drawn black and white, by modality.
        maps: To be drawn over the scans.
        truth: The expert's outline, where there is one.
        box: The crop around the brain.
    """

    background: Mapping[str, np.ndarray]
    windows: Mapping[str, tuple[float, float]]
    maps: Maps
    truth: Mask | None
    box: Box


def grey(scene: Scene, modality: str, at: Tile) -> np.ndarray:
    """A scan alone, RGB float32 (H, W, 3) from 0 to 255."""
    low, high = scene.windows[modality]
    level = np.clip((at.cut(scene.background[modality]) - low) / (high - low), 0.0, 1.0) * 255.0
    return np.repeat(level[..., None], 3, axis=2)


def outlined(scene: Scene, modality: str, at: Tile) -> np.ndarray:
    """A scan with the mask's outline just outside its voxels, and the truth's just inside, so that both can be seen."""
    picture = grey(scene, modality, at)
    if scene.truth is not None:
        inner = at.cut(scene.truth, smooth=False) > 0.5
        picture[inner & ~ndimage.binary_erosion(inner, iterations=2, border_value=1)] = TRUTH
    return traced(scene, picture, at, width=2)


def traced(scene: Scene, picture: np.ndarray, at: Tile, *, width: int) -> np.ndarray:
    """A picture with the mask's outline on it, some pixels wide and just outside its voxels."""
    outer = at.cut(scene.maps.mask, smooth=False) > 0.5
    return np.where((ndimage.binary_dilation(outer, iterations=width) & ~outer)[..., None], OUTLINE, picture)


def shaded(scene: Scene, modality: str, at: Tile, volume: np.ndarray, scale: Scale) -> np.ndarray:
    """A scan with a map over it: clear where the map is near zero, solid where it is high."""
    values = at.cut(volume)
    share = np.clip(values / scale.top, 0.0, 1.0)
    clear = min(CLEAR_NATS / scale.top, 0.5 * SOLID_SHARE)
    ramp = np.clip((share - clear) / (SOLID_SHARE - clear), 0.0, 1.0)[..., None]
    cover = COVER * ramp * ramp * (3.0 - 2.0 * ramp)
    colours = _table(scale.colours)[np.round(share * 255.0).astype(int)]
    return grey(scene, modality, at) * (1.0 - cover) + colours * cover


def lettered(picture: np.ndarray, at: Tile, *, text: str = "") -> Image.Image:
    """A picture with the letters of its sides, and a text at its foot."""
    image = Image.fromarray(np.clip(np.round(picture), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    width, height = at.size
    size = int(np.clip(height // 12, 11, 21))
    first, last = LETTERS[at.plane]
    for letter, x, anchor in ((first, 5, "lm"), (last, width - 5, "rm")):
        _write(draw, (x, height // 2), letter, size, anchor)
    if text:
        _write(draw, (5, height - 4), text, max(10, size - 3), "ls")
    return image


def crossed(image: Image.Image, at: Tile, region: Region) -> Image.Image:
    """A picture with a cross around the region's peak, open in the middle."""
    x, y = at.pixel(region.index)
    draw = ImageDraw.Draw(image)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        draw.line([(x + 12 * dx, y + 12 * dy), (x + 22 * dx, y + 22 * dy)], fill=MARK, width=2)
    return image


def boxed(image: Image.Image, at: Tile, box: Box) -> Image.Image:
    """An axial picture with a frame around a smaller crop."""
    (x0, y0), (x1, y1) = (at.pixel((x, y)) for x, y in ((box[0].start, box[1].start), (box[0].stop, box[1].stop)))
    ImageDraw.Draw(image).rectangle([min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)], outline=MARK, width=2)
    return image


def region_pictures(scene: Scene, region: Region, *, height: int = 216, side_mm: float = 56.0) -> Image.Image:
    """Where a region is (its axial slice, framed), then the entropy around it in three planes, side by side."""
    maps, modality = scene.maps, next(iter(scene.background))
    crop = box_about(region.index, maps.grid, side_mm=side_mm)
    scale = pixels_per_mm(scene.box, maps.grid, height=height)
    whole = tile("axial", region.index[2], scene.box, maps.grid, pixels_per_mm=scale)
    pictures = [boxed(lettered(outlined(scene, modality, whole), whole), whole, crop)]
    for plane, level in zip(("axial", "coronal", "sagittal"), (2, 1, 0), strict=True):
        at = tile(plane, region.index[level], crop, maps.grid, pixels_per_mm=height / side_mm)
        picture = traced(scene, shaded(scene, modality, at, maps.entropy, ENTROPY), at, width=1)
        pictures.append(crossed(lettered(picture, at), at, region))
    return beside(pictures, height=height)


def beside(pictures: list[Image.Image], *, height: int, gap: int = 4) -> Image.Image:
    """Pictures in one row on black, each centred in its height; crops cut short at a border keep their place."""
    widths = [max(picture.width, height if k else 0) for k, picture in enumerate(pictures)]
    row = Image.new("RGB", (sum(widths) + gap * (len(pictures) - 1), height))
    left = 0
    for picture, width in zip(pictures, widths, strict=True):
        row.paste(picture, (left + (width - picture.width) // 2, (height - picture.height) // 2))
        left += width + gap
    return row


def colour_bar(scale: Scale) -> Image.Image:
    """The colours of a scale from left to right, 256 by 12 pixels."""
    return Image.fromarray(np.repeat(_table(scale.colours)[None], 12, axis=0).astype(np.uint8))


def data_uri(image: Image.Image, *, kind: str = "JPEG") -> str:
    """An image as a ``data:`` address: JPEG with full colour resolution, or PNG. No metadata."""
    buffer = io.BytesIO()
    options = {"quality": 90, "subsampling": 0} if kind == "JPEG" else {"compress_level": 9}
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


@cache
def _table(colours: str) -> np.ndarray:
    """The 256 colours of a map, (256, 3), 0 to 255."""
    return np.asarray(colormaps[colours](np.arange(256))[:, :3] * 255.0)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _write(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, anchor: str) -> None:
    draw.text(at, text, fill=(235, 235, 235), font=_font(size), anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
