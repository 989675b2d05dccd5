"""Whether a reader sees a clot: contrast against noise, from the physics of the image alone, for one clot at a time.

Rose's criterion: the eye needs a contrast of about 5 standard deviations of the noise. What a voxel shows of a vessel
of radius a is the share of its point spread that lies in the lumen, s the standard deviation across the vessel:

p(a) = 1 − e^(−a²/2s²)

Time of flight   A stretch of artery is shown where p·(S_blood − S_tissue) exceeds the noise enough, on a projection
whose background is the brightest of many voxels. A clot is seen by what is gone: it, and all that it leaves without
fresh blood. Branches differ from side to side, so that a reader trusts a loss where one side of a territory shows less
than both would show on average, by three standard deviations of what healthy sides differ: behind a trunk nearly all is
gone, behind a distal branch a part that might never have been there. What no slab covers, or what is saturated anyway,
is not looked for.

Susceptibility   Around a cylinder of susceptibility χ at the angle θ to B0 the phase is γ·B0·TE·χ/2·sin²θ·(a/r)²; it
reaches one radian, where the mask of susceptibility-weighted images has left next to nothing, at

r = a·√(γ·B0·TE·χ/2)·sinθ

which is the blooming; along B0 there is none, and the lumen alone is dark. A clot with enough red cells to have the
susceptibility vessel sign is seen where p of that radius is dark enough against the noise, over some length.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.phantom.pathology.clot import Clot
from adumbra.phantom.pathology.perfusion import Collaterals, plugging, rerouted
from adumbra.phantom.pathology.stroke import flow_shares
from adumbra.phantom.physics.inflow import TimeOfFlight, blood_signal, stationary_signal
from adumbra.phantom.physics.relaxation import TISSUES
from adumbra.phantom.physics.susceptibility import blood_chi, radians_per_ppm
from adumbra.phantom.vasculature.arteries import TERRITORIES, territory
from adumbra.phantom.vasculature.vessels import Tree

_ROSE = 5.0  # standard deviations of the noise
_BRIGHTEST = 2.4  # by how many of them the brightest of some 60 voxels exceeds their mean: a projection's background
_CLUTTER = 0.08  # standard deviation of tissue about its own signal: grey and white matter, small veins
_SIDES = 0.14  # standard deviation of what healthy sides show of a territory's arteries, of their mean: an assumption
_SURE = 3.0  # of those standard deviations: one false alarm in several hundred sides
_LEAST_LOST_MM = 10.0
_DARK = 0.8  # of the signal, that blooming takes
_LEAST_SIGN_MM = 3.0  # some voxels in a row: less is a vein that crosses, or a microbleed


@dataclass(frozen=True)
class Image:
    """What matters of an acquisition.

    Attributes:
        voxel_mm: As measured, not as interpolated; along x, y, z.
        snr: Of white matter.
    """

    voxel_mm: tuple[float, float, float]
    snr: float

    @property
    def noise(self) -> float:
        """Standard deviation of what hides a vessel, of the tissue's signal."""
        return float(np.hypot(1 / self.snr, _CLUTTER))


ANGIOGRAM = Image((0.6, 0.6, 0.7), 16.0)
SUSCEPTIBILITY = Image((0.6, 0.6, 1.8), 22.0)


def _lengths_and_directions(points_mm: np.ndarray, before_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the stretches that end in the points: length (M,) in mm, and unit vector (M, 3)."""
    offset = points_mm - before_mm
    length = np.linalg.norm(offset, axis=1)
    return length, offset / np.maximum(length, 1e-9)[:, None]


def share_of_spread(radius_mm: np.ndarray, direction: np.ndarray, voxel_mm: tuple[float, float, float]) -> np.ndarray:
    """p: the share of a voxel's point spread that lies within a radius of a vessel's middle line, (M,).

    Args:
        radius_mm: (M,).
        direction: (M, 3), of the vessel, unit vectors.
        voxel_mm: A voxel has the variance of a box, and a Fourier image blurs it by about a fifth more.
    """
    variance = (1.2 * np.asarray(voxel_mm)) ** 2 / 12
    across = ((1 - direction**2) * variance).sum(axis=1) / 2
    return np.asarray(1 - np.exp(-(radius_mm**2) / (2 * across)))


def shown_mm(
    tree: Tree,
    lodged: tuple[Clot, ...],
    collaterals: Collaterals,
    protocol: TimeOfFlight,
    *,
    b0_tesla: float = 3.0,
    image: Image = ANGIOGRAM,
) -> np.ndarray:
    """The length of each stretch of artery that time-of-flight angiography shows, (N,) in mm; 0 where it shows none.

    Args:
        tree: Arteries, in the space of the slabs.
        lodged: The clots in them.
        collaterals: Of the subject.
        protocol: Slabs and times.
        b0_tesla: 1.5 or 3.0.
        image: Voxels and noise.
    """
    constants, flow = TISSUES[b0_tesla], flow_shares(tree, lodged, collaterals)
    blood = blood_signal(rerouted(tree, lodged), protocol, constants["arterial_blood"], flow=flow)
    tissue = stationary_signal(constants["white"], protocol, tree.points_mm[:, 2])
    before = tree.points_mm[np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))]
    length, direction = _lengths_and_directions(tree.points_mm, before)
    contrast = share_of_spread(tree.radius_mm, direction, image.voxel_mm) * (blood - tissue)
    bright = (tissue > 0) & (contrast >= (_ROSE + _BRIGHTEST) * image.noise * tissue)
    return np.where(bright & ~plugging(tree, lodged), length, 0.0)


def seen_on_tof(
    tree: Tree,
    lodged: tuple[Clot, ...],
    collaterals: Collaterals,
    protocol: TimeOfFlight,
    *,
    b0_tesla: float = 3.0,
    image: Image = ANGIOGRAM,
) -> tuple[bool, ...]:
    """Which of the clots time-of-flight angiography gives away; behind another one there is nothing left to lose.

    Args:
        tree: Arteries, in the space of the slabs.
        lodged: The clots in them.
        collaterals: Of the subject.
        protocol: Slabs and times.
        b0_tesla: 1.5 or 3.0.
        image: Voxels and noise.
    """

    def shown(clots: tuple[Clot, ...]) -> np.ndarray:
        return _by_side(tree, shown_mm(tree, clots, collaterals, protocol, b0_tesla=b0_tesla, image=image))

    if not lodged:
        return ()
    healthy, now = shown(()), shown(lodged)
    short = now < (1 - _SURE * _SIDES) * healthy.mean(axis=1, keepdims=True)
    rest = [tuple(c for c in lodged if c is not clot) for clot in lodged]
    without = [shown(clots) if clots else healthy for clots in rest]
    return tuple(bool((short & (mm - now >= _LEAST_LOST_MM)).any()) for mm in without)


def _by_side(tree: Tree, length_mm: np.ndarray) -> np.ndarray:
    """The length in each large territory (rows) on the right and on the left, (T, 2) in mm."""
    large = np.array([territory(name) for name in tree.names])[tree.segment]
    right = tree.points_mm[:, 0] >= 0
    return np.array([[length_mm[(large == t) & (right == side)].sum() for side in (True, False)] for t in TERRITORIES])


def blooming_mm(clot: Clot, *, b0_tesla: float = 3.0, te_ms: float = 20.0) -> np.ndarray:
    """The radius around a clot's middle line within which it is dark, no less than its lumen's, (K − 1,) in mm.

    Args:
        clot: Its red cells, oxygenation and course.
        b0_tesla: Along z.
        te_ms: Echo time of the susceptibility-weighted image.
    """
    _, direction = _lengths_and_directions(clot.points_mm[1:], clot.points_mm[:-1])
    radius = (clot.radius_mm[1:] + clot.radius_mm[:-1]) / 2
    phase_rad = radians_per_ppm(b0_tesla=b0_tesla, te_ms=te_ms) * blood_chi(clot.oxygenation, clot.haematocrit) / 2
    return np.asarray(radius * np.maximum(np.sqrt(phase_rad * (1 - direction[:, 2] ** 2)), 1.0))


def seen_on_swi(clot: Clot, *, b0_tesla: float = 3.0, te_ms: float = 20.0, image: Image = SUSCEPTIBILITY) -> bool:
    """Whether a clot shows the susceptibility vessel sign; one of few red cells never does, nor one of 2 mm.

    Args:
        clot: In the space of the image.
        b0_tesla: Along z.
        te_ms: Echo time.
        image: Voxels and noise.
    """
    length, direction = _lengths_and_directions(clot.points_mm[1:], clot.points_mm[:-1])
    dark_mm = blooming_mm(clot, b0_tesla=b0_tesla, te_ms=te_ms)
    contrast = _DARK * share_of_spread(dark_mm, direction, image.voxel_mm)
    sign_mm = length[contrast >= _ROSE * image.noise].sum()
    return bool(clot.has_vessel_sign and sign_mm >= _LEAST_SIGN_MM)
