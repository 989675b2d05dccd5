"""Pictures of scans with contours or a map over them, as RGB arrays and as data URIs.

Pictures are composed in NumPy and encoded by Pillow, which is fast enough for the hundred pictures of a report.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from adumbra.core.entropy import LN2, UNCERTAIN_NATS
from adumbra.core.results import Maps, Region
from adumbra.core.types import Mask
from adumbra.report.tiles import LETTERS, PLANES, Box, Tile, box_centred_on, pixels_per_mm, tile

SEGMENTATION_COLOUR = (64, 214, 255)
TRUTH_COLOUR = (255, 210, 63)
MARK_COLOUR = (255, 255, 255)
UNCERTAIN_COLOUR = (255, 150, 80)
CLEAR_NATS = 0.05
"""Voxels below this value are left clear."""
SOLID_SHARE = 0.5
"""Share of a scale from which its colours cover the scan."""
COVER = 0.88
"""Opacity of a map where it covers the scan."""


@dataclass(frozen=True)
class Scale:
    """A colour scale: a perceptually uniform colour map, and the value of its upper end."""

    colours: str
    top: float


ENTROPY = Scale("magma", LN2)


def epistemic_scale(maps: Maps) -> Scale:
    """The scale of the epistemic part, which is often small: up to its largest value, at least 0.05 nats."""
    return Scale("viridis", max(0.05, float(np.ceil(float(maps.epistemic.max()) * 20.0) / 20.0)))


@dataclass(frozen=True, eq=False)
class Scene:
    """What all pictures of a report share.

    Attributes:
        background: Scans by modality, (X, Y, Z) on the grid of the maps; the first is the reference modality.
        windows: Values shown as black and as white, by modality.
        maps: Maps to show over the scans.
        truth: Reference mask, (X, Y, Z), or None.
        box: Crop around the brain.
    """

    background: Mapping[str, np.ndarray]
    windows: Mapping[str, tuple[float, float]]
    maps: Maps
    truth: Mask | None
    box: Box

    @property
    def reference(self) -> str:
        """The reference modality."""
        return next(iter(self.background))


def grey_slice(scene: Scene, modality: str, at: Tile) -> np.ndarray:
    """A slice of a scan, RGB float32 (H, W, 3) from 0 to 255."""
    low, high = scene.windows[modality]
    level = np.clip((at.cut(scene.background[modality]) - low) / (high - low), 0.0, 1.0) * 255.0
    return np.repeat(level[..., None], 3, axis=2)


def slice_with_contours(scene: Scene, modality: str, at: Tile) -> np.ndarray:
    """A slice with the contour of the segmentation just outside its voxels, and of the reference mask just inside.

    Both contours are visible where the two masks agree.
    """
    picture = grey_slice(scene, modality, at)
    if scene.truth is not None:
        truth = at.cut(scene.truth, smooth=False) > 0.5
        picture[truth & ~ndimage.binary_erosion(truth, iterations=2, border_value=1)] = TRUTH_COLOUR
    return add_contour(scene, picture, at, width=2)


def add_contour(scene: Scene, picture: np.ndarray, at: Tile, *, width: int) -> np.ndarray:
    """A picture with the contour of the segmentation, ``width`` pixels wide and just outside its voxels."""
    mask = at.cut(scene.maps.mask, smooth=False) > 0.5
    contour = ndimage.binary_dilation(mask, iterations=width) & ~mask
    return np.where(contour[..., None], SEGMENTATION_COLOUR, picture)


def slice_with_map(scene: Scene, modality: str, at: Tile, volume: np.ndarray, scale: Scale) -> np.ndarray:
    """A slice with a map over it: clear where the map is near zero, opaque where it is high."""
    values = at.cut(volume)
    share = np.clip(values / scale.top, 0.0, 1.0)
    clear = min(CLEAR_NATS / scale.top, 0.5 * SOLID_SHARE)
    ramp = np.clip((share - clear) / (SOLID_SHARE - clear), 0.0, 1.0)[..., None]
    cover = COVER * ramp * ramp * (3.0 - 2.0 * ramp)
    colours = _colour_table(scale.colours)[np.round(share * 255.0).astype(int)]
    return grey_slice(scene, modality, at) * (1.0 - cover) + colours * cover


def label_sides(picture: np.ndarray, at: Tile, *, text: str = "") -> Image.Image:
    """A picture with the letters of the patient's sides, and a text at the bottom."""
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


def draw_cross(image: Image.Image, at: Tile, region: Region) -> Image.Image:
    """Draws a cross around the peak of a region, open in the middle, and returns the picture."""
    return draw_cross_at(image, at, region.index)


def draw_cross_at(image: Image.Image, at: Tile, index: Sequence[int]) -> Image.Image:
    """Draws a cross around a voxel, open in the middle, and returns the picture."""
    x, y = at.pixel(index)
    draw = ImageDraw.Draw(image)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        draw.line([(x + 12 * dx, y + 12 * dy), (x + 22 * dx, y + 22 * dy)], fill=MARK_COLOUR, width=2)
    return image


def draw_frame(image: Image.Image, at: Tile, box: Box) -> Image.Image:
    """Draws a frame around a smaller crop in an axial picture, and returns the picture."""
    (x0, y0), (x1, y1) = (at.pixel((x, y)) for x, y in ((box[0].start, box[1].start), (box[0].stop, box[1].stop)))
    corners = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
    ImageDraw.Draw(image).rectangle(corners, None, MARK_COLOUR, 2)
    return image


def region_picture(scene: Scene, region: Region, *, height: int = 216, side_mm: float = 56.0) -> Image.Image:
    """The axial slice of a region with a frame around it, then the entropy around it in three planes, side by side."""
    maps, modality = scene.maps, scene.reference
    crop = box_centred_on(region.index, maps.grid, side_mm=side_mm)
    scale = pixels_per_mm(scene.box, maps.grid, height=height)
    whole = tile("axial", region.index[2], scene.box, maps.grid, pixels_per_mm=scale)
    pictures = [draw_frame(label_sides(slice_with_contours(scene, modality, whole), whole), whole, crop)]
    for plane, level in zip(("axial", "coronal", "sagittal"), (2, 1, 0), strict=True):
        at = tile(plane, region.index[level], crop, maps.grid, pixels_per_mm=height / side_mm)
        picture = add_contour(scene, slice_with_map(scene, modality, at, maps.entropy, ENTROPY), at, width=1)
        pictures.append(draw_cross(label_sides(picture, at), at, region))
    return join_in_row(pictures, height=height)


def planes_of_region(
    scene: Scene, index: Sequence[int], *, height: int = 240, side_mm: float = 64.0
) -> list[tuple[str, Image.Image]]:
    """The place of a voxel in its axial slice, then the scan around it in three planes, each with its name.

    The three planes show the scan without a map over it: a thick contour around the segmentation, a thin one around
    the uncertain voxels, and a cross that is open around the voxel.
    """
    maps, modality, at_index = scene.maps, scene.reference, (int(index[0]), int(index[1]), int(index[2]))
    crop = box_centred_on(at_index, maps.grid, side_mm=side_mm)
    scale = pixels_per_mm(scene.box, maps.grid, height=height)
    whole = tile("axial", at_index[2], scene.box, maps.grid, pixels_per_mm=scale)
    place = draw_frame(label_sides(slice_with_contours(scene, modality, whole), whole), whole, crop)
    pictures = [(f"place, axial slice {at_index[2] + 1}", on_square(place, height))]
    uncertain = maps.entropy >= UNCERTAIN_NATS
    for plane, axis in PLANES.items():
        at = tile(plane, at_index[axis], crop, maps.grid, pixels_per_mm=height / side_mm)
        picture = add_contour(scene, grey_slice(scene, modality, at), at, width=2)
        inside = at.cut(uncertain, smooth=False) > 0.5
        rim = inside & ~ndimage.binary_erosion(inside, border_value=1)
        image = label_sides(np.where(rim[..., None], UNCERTAIN_COLOUR, picture), at)
        pictures.append((plane, on_square(draw_cross_at(image, at, at_index), height)))
    return pictures


def on_square(picture: Image.Image, side: int) -> Image.Image:
    """A picture in the middle of a black square, made smaller where it is larger."""
    if max(picture.size) > side:
        factor = side / max(picture.size)
        picture = picture.resize((round(picture.width * factor), round(picture.height * factor)))
    square = Image.new("RGB", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def join_in_row(pictures: list[Image.Image], *, height: int, gap: int = 4) -> Image.Image:
    """Pictures in one row on black, each centred. Crops that a border shortens get the width of a whole crop."""
    widths = [max(picture.width, height if k else 0) for k, picture in enumerate(pictures)]
    row = Image.new("RGB", (sum(widths) + gap * (len(pictures) - 1), height))
    left = 0
    for picture, width in zip(pictures, widths, strict=True):
        row.paste(picture, (left + (width - picture.width) // 2, (height - picture.height) // 2))
        left += width + gap
    return row


def colour_bar(scale: Scale) -> Image.Image:
    """The colours of a scale from left to right, 256 by 12 pixels."""
    return Image.fromarray(np.repeat(_colour_table(scale.colours)[None], 12, axis=0).astype(np.uint8))


def jpeg_bytes(image: Image.Image) -> bytes:
    """An image as the bytes of a JPEG file, without metadata."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88, subsampling=0)
    return buffer.getvalue()


def data_uri(image: Image.Image, *, kind: str = "JPEG") -> str:
    """An image as a data URI, without metadata: JPEG with full colour resolution, or PNG."""
    buffer = io.BytesIO()
    options = {"quality": 90, "subsampling": 0} if kind == "JPEG" else {"compress_level": 9}
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


@cache
def _colour_table(colours: str) -> np.ndarray:
    """The 256 colours of a colour map, (256, 3), 0 to 255."""
    return np.asarray(colormaps[colours](np.arange(256))[:, :3] * 255.0)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _write(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, anchor: str) -> None:
    draw.text(at, text, fill=(235, 235, 235), font=_font(size), anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
