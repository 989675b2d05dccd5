"""The deep grey nuclei and what darkens them on SWI: their iron, and the calcifications beside them.

Each nucleus is a union of a few ellipsoids in MNI152 millimetres, drawn by hand on the template's T1 and grey matter,
to about the volumes of one side that are published: caudate 3 to 4 ml, putamen 4 to 5, pallidum 1.5 to 1.8, thalamus 6
to 7, substantia nigra 0.4 to 0.5, red nucleus 0.25 to 0.3. The subject's deformation carries them.

Iron's susceptibility is that of ``susceptibility.CHI_PPM`` in middle age. From 5 to 90 years it grows in caudate,
putamen and pallidum, in the thalamus it is highest at about 40 and falls afterwards, and people differ the more the
older they are (Treit et al., Hum Brain Mapp 2021;42:4597).
"""

from collections.abc import Mapping

import numpy as np

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.template import Deterministic, block_around, put_ellipsoid
from adumbra.phantom.physics.susceptibility import CHI_PPM

_EDGE_MM = 1.0
# Centre and radii in mm of the right side's ellipsoids, and their turns in degrees about z, x and y, in this order: the
# first brings the front end to the midline, the second lifts it, the third brings the lower end to the midline. Where
# two nuclei would meet, the earlier one takes the place.
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

_BOX_MM = ((-38.0, -38.0, -24.0), (38.0, 32.0, 28.0))  # holds all of them
# Iron's susceptibility over that of middle age, in the young and in the very old; about, by Treit et al. 2021.
_OVER_LIFE = {
    "red_nucleus": (0.8, 1.2),
    "substantia_nigra": (0.85, 1.15),
    "pallidum": (0.85, 1.15),
    "caudate": (0.85, 1.15),
    "thalamus": (1.15, 0.85),
    "putamen": (0.65, 1.35),
    "grey": (0.85, 1.15),
}
# Calcifications, MNI152 mm: pineal gland, glomus of the choroid plexus in the right atrium.
_PINEAL_MM = (0.0, -29.0, 2.0)
_GLOMUS_MM = (23.0, -42.0, 11.0)


def nuclei(head: Head) -> dict[str, Volume]:
    """The share of each voxel that belongs to each deep nucleus, in [0, 1], by the names of ``CHI_PPM``.

    Soft-edged over 1 mm, within the head's tissue; together at most its tissue.
    """
    parts = {name: np.zeros(head.grid.shape, np.float32) for name in NUCLEI_MM}
    block = block_around(head.mni_mm, *_BOX_MM)
    if block is None:
        return parts
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
        parts[name][block] = np.minimum(shape, room, out=shape)
        room -= shape
    return parts


def iron_ppm(rng: np.random.Generator, head: Head, parts: Mapping[str, Volume]) -> Volume:
    """The susceptibility of iron in ppm, relative to tissue without: that of the nuclei, and little in all other grey.

    Σ share · ``CHI_PPM`` · age · spread: each nucleus has its own course over life, and a subject's values scatter by
    about a tenth when young and a fifth when very old.

    Args:
        rng: Of the subject.
        head: The subject.
        parts: As ``nuclei`` gives them for this head.
    """
    scatter = 0.1 + 0.1 * head.age
    subject = rng.normal(0, 0.7)  # half of the variance is shared by all grey matter
    own = {n: float(np.exp(scatter * (subject + rng.normal(0, 0.7)))) for n in _OVER_LIFE}
    chi = {n: CHI_PPM[n] * own[n] * (a + (b - a) * head.age) for n, (a, b) in _OVER_LIFE.items()}
    iron = head.grey * np.float32(chi["grey"])
    block = block_around(head.mni_mm, *_BOX_MM)
    if block is not None:
        taken = sum(parts[n][block] for n in NUCLEI_MM)
        iron[block] *= 1 - taken / np.maximum(head.grey[block] + head.white[block], np.float32(1e-6))
        for name in NUCLEI_MM:
            iron[block] += np.float32(chi[name]) * parts[name][block]
    return iron


def calcified(rng: np.random.Generator, head: Head) -> Volume:
    """The fraction of each voxel that is calcified: pineal gland, choroid plexus of the atria, falx.

    Of adults on CT the pineal gland is calcified in about 70 %, the choroid plexus in 66 %, mostly on both sides, and
    the falx in 7 to 27 %, all more often in the old (Ghorbanlou et al., Anat Cell Biol 2021, and other series); the
    pineal calcification is 4.5 ± 2 mm long. Few are dense throughout.
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
        # In the midline between the callosum and the vault, from the brow to the vertex.
        angle, from_middle = np.radians(rng.uniform(15, 80)), rng.uniform(46, 58)
        centre = (0.0, from_middle * np.cos(angle), 10 + from_middle * np.sin(angle))
        _calcify(amount, head, centre, (rng.uniform(0.8, 2.0), *rng.uniform(2, 8, 2)), dense[2])
    return amount


def _calcify(amount: Volume, head: Head, centre_mm: Deterministic, radii_mm: Deterministic, to: float) -> None:
    """Raise the calcified fraction to ``to`` within an ellipsoid."""
    put_ellipsoid(amount, head.mni_mm, centre_mm, radii_mm, edge_mm=_EDGE_MM, height=float(to))


def _axes(turns_deg: tuple[float, float, float]) -> np.ndarray:
    """The axes, as columns, of an ellipsoid turned about z, then x, then y: see ``NUCLEI_MM``."""
    (cz, sz), (cx, sx), (cy, sy) = ((np.cos(a), np.sin(a)) for a in np.radians(turns_deg))
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return about_y @ about_x @ about_z
