"""Deep grey nuclei and intracranial calcifications.

Each nucleus is a union of a few ellipsoids in MNI152 millimetres. They were placed manually on T1 and grey matter of
the template, with volumes near the published ones of one side: caudate 3 to 4 ml, putamen 4 to 5, pallidum 1.5 to 1.8,
thalamus 6 to 7, substantia nigra 0.4 to 0.5, red nucleus 0.25 to 0.3. The subject's deformation carries them along.
"""

import numpy as np

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.template import Point, block_around, put_ellipsoid

_EDGE_MM = 1.0
# Centre and radii in mm of the ellipsoids on the right side, and their rotations in degrees about z, x and y, applied
# in this order. The first turns the front end to the midline, the second raises it, the third turns the lower end to
# the midline. Where two nuclei overlap, the earlier one has precedence.
NUCLEI_MM = {
    "red_nucleus": (((5.0, -20.0, -9.0), (3.7, 3.9, 4.4), (0, 0, 0)),),
    "substantia_nigra": (((10.5, -17.0, -11.5), (2.3, 6.8, 6.8), (38, 0, 20)),),
    "pallidum": (((19.5, -4.5, -0.5), (4.4, 10.8, 8.0), (30, 0, 20)),),
    "caudate": (
        ((12.8, 13.5, 4.5), (4.8, 11.0, 10.0), (-18, 0, 8)),
        ((15.5, 4.0, 16.0), (3.4, 13.0, 4.8), (-4, -12, 0)),
        ((18.8, -14.0, 21.5), (2.4, 13.0, 3.2), (8, 0, 0)),
    ),
    "thalamus": (
        ((10.8, -17.0, 7.0), (8.6, 15.2, 10.8), (22, 0, 0)),
        ((14.5, -27.0, 5.0), (7.0, 6.5, 7.0), (0, 0, 0)),
    ),
    "putamen": (
        ((25.7, 0.0, 1.8), (5.0, 18.8, 11.5), (18, 0, 12)),
        ((21.0, 10.5, -2.5), (5.0, 9.0, 6.5), (24, 0, 0)),
    ),
}

NUCLEI_BOX_MM = ((-38.0, -38.0, -24.0), (38.0, 32.0, 28.0))  # corners of a box around all nuclei
# Calcifications, MNI152 mm: pineal gland, glomus of the choroid plexus in the right atrium.
_PINEAL_MM = (0.0, -29.0, 2.0)
_GLOMUS_MM = (23.0, -42.0, 11.0)


def nucleus_fractions(head: Head) -> dict[str, Volume]:
    """The fraction of each voxel that belongs to each deep nucleus, in [0, 1], by the names of ``CHI_PPM``.

    The nuclei have an edge of 1 mm. Their sum is at most the tissue fraction of the voxel.

    Args:
        head: The subject's anatomy.
    """
    fractions = {name: np.zeros(head.grid.shape, np.float32) for name in NUCLEI_MM}
    block = block_around(head.mni_mm, *NUCLEI_BOX_MM)
    if block is None:
        return fractions
    right = head.mni_mm[(slice(None), *block)]
    left = right * np.array([-1, 1, 1], np.float32).reshape(3, 1, 1, 1)
    tissue = head.grey[block] + head.white[block]
    room = tissue.copy()
    for name, ellipsoids in NUCLEI_MM.items():
        shape = np.zeros_like(room)
        for side in (right, left):
            for centre, radii, turns in ellipsoids:
                put_ellipsoid(shape, side, centre, radii, axes=_axes(turns), edge_mm=_EDGE_MM)
        shape *= tissue
        fractions[name][block] = np.minimum(shape, room, out=shape)
        room -= shape
    return fractions


def sample_calcification(rng: np.random.Generator, head: Head) -> Volume:
    """Samples the calcified fraction of each voxel: pineal gland, choroid plexus of the atria, falx.

    On CT of adults the pineal gland is calcified in about 70 %, the choroid plexus in 66 %, mostly on both sides, and
    the falx in 7 to 27 %; all are more frequent at higher age (Ghorbanlou et al., Anat Cell Biol 2021, and other
    series). The pineal calcification is 4.5 ± 2 mm long. Few calcifications are dense throughout.

    Args:
        rng: Source of every random choice.
        head: The subject's anatomy.
    """
    amount = np.zeros(head.grid.shape, np.float32)
    dense = rng.uniform(0.3, 1.0, 3)
    if rng.random() < 0.6 + 0.25 * head.age:
        radii = np.clip(rng.normal(2.0, 0.7), 0.8, 4.0) * rng.uniform(0.8, 1.2, 3)
        _calcify(amount, head, np.array(_PINEAL_MM) + rng.normal(0, [0.5, 1, 1]), radii, dense[0])
    if rng.random() < 0.4 + 0.45 * head.age:
        both = rng.random() < 0.77
        for side in (-1, 1) if both else (rng.choice([-1, 1]),):
            centre = np.array(_GLOMUS_MM) * (side, 1, 1) + rng.normal(0, 1.5, 3)
            _calcify(amount, head, centre, rng.uniform(1.0, 3.5) * rng.uniform(0.7, 1.3, 3), dense[1])
    if rng.random() < 0.05 + 0.25 * head.age:
        # The falx: in the midline between corpus callosum and vault, from the brow to the vertex.
        angle, from_middle = np.radians(rng.uniform(15, 80)), rng.uniform(46, 58)
        centre = (0.0, from_middle * np.cos(angle), 10 + from_middle * np.sin(angle))
        _calcify(amount, head, centre, (rng.uniform(0.8, 2.0), *rng.uniform(2, 8, 2)), dense[2])
    return amount


def _calcify(amount: Volume, head: Head, centre_mm: Point, radii_mm: Point, density: float) -> None:
    """Raises the calcified fraction to ``density`` within an ellipsoid, in place."""
    put_ellipsoid(amount, head.mni_mm, centre_mm, radii_mm, edge_mm=_EDGE_MM, height=float(density))


def _axes(turns_deg: tuple[float, float, float]) -> np.ndarray:
    """The axes of an ellipsoid rotated about z, then x, then y, as columns, (3, 3); see ``NUCLEI_MM``."""
    (cz, sz), (cx, sx), (cy, sy) = ((np.cos(a), np.sin(a)) for a in np.radians(turns_deg))
    rotation_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    rotation_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    rotation_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return rotation_y @ rotation_x @ rotation_z
