"""Visibility of a clot to a reader, from contrast and noise of the image, computed analytically for each clot.

Rose's criterion: detection needs a contrast of about 5 standard deviations of the noise. The contrast of a vessel of
radius a is the share p of the voxel's point spread within the lumen, with s its standard deviation across the vessel:

p(a) = 1 − e^(−a²/2s²)

Time of flight   A stretch of artery is visible where p·(S_blood − S_tissue) exceeds the noise sufficiently on a
projection, whose background is the brightest of many voxels. A clot is detected by the missing signal in and behind it.
Branches differ from side to side. A loss therefore counts where one side of a territory shows less than the mean of
both sides would be without clots, by three standard deviations of the difference between healthy sides. Behind a trunk
nearly everything is missing; behind a distal branch only a part is, which anatomical variation could explain. Stretches
outside the slabs, and stretches whose blood is saturated without a clot, do not contribute.

Susceptibility   Around a cylinder of susceptibility χ at the angle θ to B0 the phase is γ·B0·TE·χ/2·sin²θ·(a/r)². It
reaches one radian, where the phase mask of susceptibility-weighted images leaves almost no signal, at

r = a·√(γ·B0·TE·χ/2)·sinθ

which is the blooming. Along B0 there is none, and the lumen alone is dark. A clot with enough red cells for the
susceptibility vessel sign is detected where p of that radius gives enough contrast to the noise, over some length.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.phantom.pathology.clot import Clot
from adumbra.phantom.pathology.perfusion import Collaterals, occluded_nodes, reroute
from adumbra.phantom.pathology.stroke import flow_shares
from adumbra.phantom.physics.inflow import TimeOfFlight, blood_signal, stationary_signal
from adumbra.phantom.physics.relaxation import TISSUES
from adumbra.phantom.physics.susceptibility import blood_chi, radians_per_ppm
from adumbra.phantom.vasculature.arteries import TERRITORIES, territory
from adumbra.phantom.vasculature.vessels import Tree

_ROSE = 5.0  # contrast needed, in standard deviations of the noise
_BRIGHTEST = 2.4  # excess of the brightest of about 60 voxels, a projection's background, in standard deviations
_CLUTTER = 0.08  # relative standard deviation of tissue signal: grey and white matter, small veins
_SIDES = 0.14  # relative standard deviation of the visible arteries between healthy sides; an assumption
_SURE = 3.0  # difference in these standard deviations; one false alarm in several hundred sides
_LEAST_LOST_MM = 10.0
_DARK = 0.8  # share of the signal that blooming removes
_LEAST_SIGN_MM = 3.0  # several voxels in a row; a shorter sign is a crossing vein or a microbleed


@dataclass(frozen=True)
class Image:
    """Resolution and noise of an acquisition.

    Attributes:
        voxel_mm: Measured, not interpolated, voxel size along x, y, z.
        snr: Signal-to-noise ratio of white matter.
    """

    voxel_mm: tuple[float, float, float]
    snr: float

    @property
    def noise(self) -> float:
        """Standard deviation of noise and tissue clutter, relative to the signal of the tissue."""
        return float(np.hypot(1 / self.snr, _CLUTTER))


ANGIOGRAM = Image((0.6, 0.6, 0.7), 16.0)
SUSCEPTIBILITY = Image((0.6, 0.6, 1.8), 22.0)


def _lengths_and_directions(points_mm: np.ndarray, previous_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length (M,) in mm and unit vector (M, 3) of the stretches that end in the points."""
    offset = points_mm - previous_mm
    length = np.linalg.norm(offset, axis=1)
    return length, offset / np.maximum(length, 1e-9)[:, None]


def point_spread_share(
    radius_mm: np.ndarray, direction: np.ndarray, voxel_mm: tuple[float, float, float]
) -> np.ndarray:
    """p: the share of a voxel's point spread within a radius of a vessel's centre line, (M,).

    Args:
        radius_mm: (M,), radius in mm.
        direction: (M, 3), unit vectors along the vessel.
        voxel_mm: Voxel size along x, y, z. A voxel has the variance of a box, and Fourier imaging blurs it by about a
            fifth more.
    """
    variance = (1.2 * np.asarray(voxel_mm)) ** 2 / 12
    across = ((1 - direction**2) * variance).sum(axis=1) / 2
    return np.asarray(1 - np.exp(-(radius_mm**2) / (2 * across)))


def visible_length_mm(
    tree: Tree,
    clots: tuple[Clot, ...],
    collaterals: Collaterals,
    protocol: TimeOfFlight,
    *,
    b0_tesla: float = 3.0,
    image: Image = ANGIOGRAM,
) -> np.ndarray:
    """The length of each stretch of artery on time-of-flight angiography, (N,) in mm; 0 where it is not visible.

    Args:
        tree: Arteries, in the space of the slabs.
        clots: The clots in them.
        collaterals: Collateral supply of the subject.
        protocol: Slabs and times.
        b0_tesla: Field strength, 1.5 or 3.0.
        image: Voxel size and noise.
    """
    constants, flow = TISSUES[b0_tesla], flow_shares(tree, clots, collaterals)
    blood = blood_signal(reroute(tree, clots), protocol, constants["arterial_blood"], flow=flow)
    tissue = stationary_signal(constants["white"], protocol, tree.points_mm[:, 2])
    previous = tree.points_mm[np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))]
    length, direction = _lengths_and_directions(tree.points_mm, previous)
    contrast = point_spread_share(tree.radius_mm, direction, image.voxel_mm) * (blood - tissue)
    bright = (tissue > 0) & (contrast >= (_ROSE + _BRIGHTEST) * image.noise * tissue)
    return np.where(bright & ~occluded_nodes(tree, clots), length, 0.0)


def visible_on_tof(
    tree: Tree,
    clots: tuple[Clot, ...],
    collaterals: Collaterals,
    protocol: TimeOfFlight,
    *,
    b0_tesla: float = 3.0,
    image: Image = ANGIOGRAM,
) -> tuple[bool, ...]:
    """Whether each clot is detectable on time-of-flight angiography; a clot behind another one causes no further loss.

    Args:
        tree: Arteries, in the space of the slabs.
        clots: The clots in them.
        collaterals: Collateral supply of the subject.
        protocol: Slabs and times.
        b0_tesla: Field strength, 1.5 or 3.0.
        image: Voxel size and noise.
    """

    def visible(present: tuple[Clot, ...]) -> np.ndarray:
        length = visible_length_mm(tree, present, collaterals, protocol, b0_tesla=b0_tesla, image=image)
        return _by_side(tree, length)

    if not clots:
        return ()
    healthy, now = visible(()), visible(clots)
    reduced = now < (1 - _SURE * _SIDES) * healthy.mean(axis=1, keepdims=True)
    others = [tuple(c for c in clots if c is not clot) for clot in clots]
    without = [visible(rest) if rest else healthy for rest in others]
    return tuple(bool((reduced & (mm - now >= _LEAST_LOST_MM)).any()) for mm in without)


def _by_side(tree: Tree, length_mm: np.ndarray) -> np.ndarray:
    """The length in each large territory (rows) on the right and on the left, (T, 2) in mm."""
    large = np.array([territory(name) for name in tree.names])[tree.segment]
    right = tree.points_mm[:, 0] >= 0
    return np.array([[length_mm[(large == t) & (right == side)].sum() for side in (True, False)] for t in TERRITORIES])


def blooming_mm(clot: Clot, *, b0_tesla: float = 3.0, te_ms: float = 20.0) -> np.ndarray:
    """The radius of the signal void around a clot's centre line, at least that of its lumen, (K − 1,) in mm.

    Args:
        clot: The clot, with its red cells, oxygenation and course.
        b0_tesla: Field strength; the field points along z.
        te_ms: Echo time of the susceptibility-weighted image.
    """
    _, direction = _lengths_and_directions(clot.points_mm[1:], clot.points_mm[:-1])
    radius = (clot.radius_mm[1:] + clot.radius_mm[:-1]) / 2
    phase_rad = radians_per_ppm(b0_tesla=b0_tesla, te_ms=te_ms) * blood_chi(clot.oxygenation, clot.haematocrit) / 2
    return np.asarray(radius * np.maximum(np.sqrt(phase_rad * (1 - direction[:, 2] ** 2)), 1.0))


def visible_on_swi(clot: Clot, *, b0_tesla: float = 3.0, te_ms: float = 20.0, image: Image = SUSCEPTIBILITY) -> bool:
    """Whether a clot shows the susceptibility vessel sign; clots with few red cells or of 2 mm never do.

    Args:
        clot: The clot, in the space of the image.
        b0_tesla: Field strength; the field points along z.
        te_ms: Echo time.
        image: Voxel size and noise.
    """
    length, direction = _lengths_and_directions(clot.points_mm[1:], clot.points_mm[:-1])
    dark_mm = blooming_mm(clot, b0_tesla=b0_tesla, te_ms=te_ms)
    contrast = _DARK * point_spread_share(dark_mm, direction, image.voxel_mm)
    sign_mm = length[contrast >= _ROSE * image.noise].sum()
    return bool(clot.has_vessel_sign and sign_mm >= _LEAST_SIGN_MM)
