"""The pictures of the report page, each with the text that describes it."""

from dataclasses import dataclass

import numpy as np

from adumbra.core.results import AttentionMaps, Region
from adumbra.core.targets import TARGET_SPECS
from adumbra.report.figures import (
    ENTROPY,
    Scale,
    Scene,
    colour_bar,
    data_uri,
    epistemic_scale,
    label_sides,
    region_picture,
    slice_with_contours,
    slice_with_map,
)
from adumbra.report.tiles import Tile, key_slice, pixels_per_mm, representative_slices, tile

TILE_HEIGHT = 300
KEY_HEIGHT = 460
ATTENTION = Scale("viridis", 1.0)


@dataclass(frozen=True)
class Picture:
    """An image of the page.

    Attributes:
        uri: Data URI of the image.
        width: Width in pixels.
        height: Height in pixels.
        alt: Description for readers who cannot see it.
    """

    uri: str
    width: int
    height: int
    alt: str


def key_pictures(scene: Scene) -> list[tuple[str, Picture]]:
    """The key slice of the reference modality, large: with contours, and with the predictive entropy."""
    modality, level = scene.reference, key_slice(scene.maps)
    at = _axial(scene, level, KEY_HEIGHT)
    place = f"{modality.upper()}, axial slice {level + 1}"
    contours = slice_with_contours(scene, modality, at)
    entropy = slice_with_map(scene, modality, at, scene.maps.entropy, ENTROPY)
    return [
        ("Segmentation", _picture(contours, at, f"{place}, with the contour of the segmentation")),
        ("Predictive entropy", _picture(entropy, at, f"{place}, with the predictive entropy")),
    ]


def slice_rows(scene: Scene, *, brief: bool = False) -> list[tuple[str, str, list[Picture]]]:
    """Rows of slices as heading, CSS class and pictures.

    Each scan that the usual network of the target takes has a row with contours and a row with the predictive entropy;
    where it takes none of them, each scan has. The last row shows the epistemic part over the reference modality.

    Args:
        scene: What the pictures share.
        brief: Only rows of the reference modality, for a page that has a viewer of all scans.
    """
    tiles = [_axial(scene, level, TILE_HEIGHT) for level in representative_slices(scene.maps, scene.box)]
    rows = []
    network = TARGET_SPECS[scene.maps.target].network
    inputs = () if network is None else network.modalities
    shown: list[str] = [name for name in scene.background if name in inputs] or list(scene.background)
    for modality in [scene.reference] if brief else shown:
        scan = modality.upper()
        pictures = [slice_with_contours(scene, modality, at) for at in tiles]
        rows.append((f"{scan}, segmentation", "contour", _row(pictures, tiles, scene, f"{scan} with the contour")))
        pictures = [slice_with_map(scene, modality, at, scene.maps.entropy, ENTROPY) for at in tiles]
        rows.append((f"{scan}, entropy", "entropy", _row(pictures, tiles, scene, f"{scan} with the entropy")))
    scan, scale = scene.reference.upper(), epistemic_scale(scene.maps)
    pictures = [slice_with_map(scene, scene.reference, at, scene.maps.epistemic, scale) for at in tiles]
    row = _row(pictures, tiles, scene, f"{scan} with the epistemic part")
    rows.append((f"{scan}, epistemic part", "epistemic", row))
    return rows


def attention_pictures(scene: Scene, attention: AttentionMaps) -> list[Picture]:
    """The key slice of each modality with its cross-attention weights, and last the attention gate."""
    at, reference = _axial(scene, key_slice(scene.maps), TILE_HEIGHT), scene.reference
    layers = [(m.upper(), m if m in scene.background else reference, w) for m, w in attention.weights.items()]
    if attention.gate is not None:
        layers.append(("gate", reference, attention.gate))
    return [
        _picture(
            slice_with_map(scene, modality, at, volume, ATTENTION),
            at,
            f"Attention, axial slice {at.index + 1}: {name}",
            text=name,
        )
        for name, modality, volume in layers
    ]


def picture_of_region(scene: Scene, region: Region) -> Picture:
    """The place of an uncertain region, and the entropy around it in three planes."""
    image = region_picture(scene, region)
    alt = f"Region {region.rank}: its place in axial slice {region.index[2] + 1}, entropy around it in three planes"
    return Picture(data_uri(image), image.width, image.height, alt)


def scale_picture(scale: Scale, unit: str = "") -> Picture:
    """The colours of a scale from 0 to its upper end."""
    image = colour_bar(scale)
    alt = f"Colour scale from 0 to {f'{scale.top:.2f} {unit}' if unit else f'{scale.top:g}'}"
    return Picture(data_uri(image, kind="PNG"), image.width, image.height, alt)


def _row(pictures: list[np.ndarray], tiles: list[Tile], scene: Scene, content: str) -> list[Picture]:
    """Pictures with their position at the bottom: height of the slice's centre in scanner mm, and slice number."""
    row = []
    for picture, at in zip(pictures, tiles, strict=True):
        middle = np.array([*((np.array(scene.maps.grid.shape[:2]) - 1) / 2), at.index])
        height_mm = float(scene.maps.grid.world_mm(middle)[2])
        text = f"{height_mm:+.0f} mm, slice {at.index + 1}"
        row.append(_picture(picture, at, f"{content}, axial slice {at.index + 1}", text=text))
    return row


def _axial(scene: Scene, level: int, height: int) -> Tile:
    scale = pixels_per_mm(scene.box, scene.maps.grid, height=height)
    return tile("axial", level, scene.box, scene.maps.grid, pixels_per_mm=scale)


def _picture(picture: np.ndarray, at: Tile, alt: str, *, text: str = "") -> Picture:
    return Picture(data_uri(label_sides(picture, at, text=text)), at.size[0], at.size[1], alt)
