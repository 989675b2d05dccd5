"""Blood that flows: bright in time-of-flight angiography until it is saturated, void in FLAIR unless it stands.

Time of flight   M(n) = M∞ + (M(0) − M∞)·(cosα·E1)ⁿ,   S = ρ · sinα · M · exp(−TE/T2*)

Fresh blood enters a slab with M = 1 and has seen n = t/TR pulses of flip α when it is t old there; M∞ is the steady
state that tissue at rest has (``signal.steady_magnetisation``). Its age comes from the arterial tree: along every
stretch t = length/velocity, with velocity = flow/(π·r²) and the flow that the tissue downstream asks for. By Murray's
law velocity falls with the radius, so that slow distal blood fades by itself; what stands still is as dark as tissue.

Along the path the recurrence is applied stretch by stretch, at the flip angle of each stretch's middle. Several thin
slabs (MOTSA: Parker et al., Magn Reson Med 1991;17:434) are excited one after the other: blood is fresh for each. A
ramp (TONE) flips less where blood comes in and more where it leaves.

What is left out: laminar profile and pulsation (plug flow at the mean velocity), turbulence and flow voids,
magnetisation transfer (which darkens tissue, not blood), venous saturation bands. Slabs are axial, stacked upwards.

FLAIR            S = (1 − f) · S_IR

Blood that leaves the slice between its pulses gives no echo; what has left grows linearly with velocity until the slice
is empty, and f is the flow as a share of normal, at which it is empty. Standing blood has the signal S_IR of inversion
recovery: hyperintense vessels are slow flow (Sanossian et al., AJNR 2009;30:564).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.phantom.physics.relaxation import Relaxation
from adumbra.phantom.physics.signal import inversion_recovery, steady_magnetisation
from adumbra.phantom.vasculature.vessels import Tree

PER_100_ML = 42.0
"""Flow in ml/min to 100 ml of a tree's tissue, at which all four arteries carry 717 ml/min (Zarrinkoob et al. 2015).

The mean perfusion is 55 to 61 ml/min/100 ml there; the template's brain, 1.7 l, is larger than theirs.
"""


@dataclass(frozen=True)
class TimeOfFlight:
    """A protocol of 3D time-of-flight angiography.

    Attributes:
        lower_mm: Where the lowest slab begins, along z in the tree's space.
        upper_mm: Where the highest ends.
        slabs: How many, of equal thickness.
        overlap: Share of a slab's thickness that the next one covers too, 0 to below 1.
        tr_ms: Repetition time.
        te_ms: Echo time.
        flip_deg: Flip angle in the middle of a slab.
        ramp: The flip angle is less by this share at a slab's lower end and more at its upper; 0 is none.
        edge_mm: Length over which the flip angle rises from 0 at either end of a slab, half of it outside.
    """

    lower_mm: float
    upper_mm: float
    slabs: int = 1
    overlap: float = 0.0
    tr_ms: float = 21.0
    te_ms: float = 3.5
    flip_deg: float = 18.0
    ramp: float = 0.0
    edge_mm: float = 0.0

    def __post_init__(self) -> None:
        if not (self.slabs >= 1 and self.lower_mm < self.upper_mm and 0 <= self.overlap < 1):
            found = f"{self.slabs} from {self.lower_mm} to {self.upper_mm} mm, overlap {self.overlap}"
            raise InputRejected(
                "slabs", expected="1 or more of a thickness, overlap below 1", found=found, do="correct it"
            )
        if not (0 < self.flip_deg * (1 + abs(self.ramp)) <= 90 and abs(self.ramp) <= 1 and self.tr_ms > 0):
            found = f"{self.flip_deg}°, ramp {self.ramp}, TR {self.tr_ms} ms"
            raise InputRejected(
                "flip_deg", expected="above 0°, to 90° at the end", found=found, do="lower flip or ramp"
            )

    @property
    def thickness_mm(self) -> float:
        """Of one slab."""
        return (self.upper_mm - self.lower_mm) / (1 + (self.slabs - 1) * (1 - self.overlap))

    def flips_deg(self, z_mm: Float[np.ndarray, "*M"]) -> Float[np.ndarray, "*M S"]:
        """The flip angle that each slab's pulses have at each height, the slabs along the last axis."""
        begins = self.lower_mm + np.arange(self.slabs) * self.thickness_mm * (1 - self.overlap)
        along = np.expand_dims(z_mm.astype(np.float64), -1) - begins
        depth = np.minimum(along, self.thickness_mm - along)
        edge = np.clip(depth / self.edge_mm + 0.5, 0, 1) if self.edge_mm > 0 else depth >= 0
        ramp = 1 + self.ramp * np.clip(2 * along / self.thickness_mm - 1, -1, 1)
        return np.asarray(self.flip_deg * ramp * edge)

    def imaged(self, of_slabs: Float[np.ndarray, "*M S"], z_mm: Float[np.ndarray, "*M"]) -> Float[np.ndarray, "*M"]:
        """Of values for all slabs the one of the slab that shows each height: the one whose middle is nearest."""
        middle = self.lower_mm + self.thickness_mm / 2
        slab = np.rint((z_mm - middle) / (self.thickness_mm * (1 - self.overlap)))
        index = np.clip(slab, 0, self.slabs - 1).astype(np.intp)
        return np.take_along_axis(of_slabs, index[..., None], axis=-1)[..., 0]


def longitudinal(
    pulses: Float[np.ndarray, "*M"], *, flip_deg: float, tr_ms: float, t1_ms: float, fresh: float = 1.0
) -> Float[np.ndarray, "*M"]:
    """Longitudinal magnetisation, of equilibrium = 1, that blood has left after a number of pulses.

    Args:
        pulses: How many; parts of one are the mean over the moments of arrival, infinity the steady state.
        flip_deg: Flip angle, above 0 to 90.
        tr_ms: Between the pulses.
        t1_ms: Of blood.
        fresh: With what it came.
    """
    steady = steady_magnetisation(np.array(flip_deg, np.float64), tr_ms=tr_ms, t1_ms=t1_ms)
    return np.asarray(steady + (fresh - steady) * _kept(np.array(flip_deg, np.float64), tr_ms, t1_ms) ** pulses)


def _kept(flip_deg: np.ndarray, tr_ms: float, t1_ms: float) -> np.ndarray:
    """cosα·E1: what one pulse and one repetition time leave of a deviation from the steady state."""
    return np.asarray(np.maximum(np.cos(np.radians(flip_deg)), 0.0) * np.exp(-tr_ms / t1_ms))


@cites("Zarrinkoob2015")
def velocity_cm_s(
    tree: Tree, *, flow: Float[np.ndarray, "N"] | None = None, per_100_ml: float = PER_100_ML
) -> Float[np.ndarray, "N"]:
    """Mean velocity of the blood between each node and its parent, in cm/s; 0 where nothing flows or no lumen is.

    Args:
        tree: Arteries.
        flow: Share of the normal flow at each node, 0 to 1; all of it by default.
        per_100_ml: Flow in ml/min to 100 ml of tissue.

    Raises:
        InputRejected: A share outside [0, 1], or not one for each node.
    """
    ml_s = _shares(tree, flow) * tree.supplied_ml * per_100_ml / 100 / 60
    area_cm2 = np.pi * (tree.radius_mm / 10) ** 2
    return np.divide(ml_s, area_cm2, out=np.zeros_like(ml_s), where=area_cm2 > 0)


def _shares(tree: Tree, flow: np.ndarray | None) -> np.ndarray:
    if flow is None:
        return np.ones(len(tree.parent))
    if flow.shape != tree.parent.shape or not ((flow >= 0) & (flow <= 1)).all():
        expected, found = f"{len(tree.parent)} shares from 0 to 1", f"{flow.shape}, {flow.min()} to {flow.max()}"
        raise InputRejected("flow", expected=expected, found=found, do="give one for each node of the tree")
    return flow.astype(np.float64)


def transit_s(
    tree: Tree, *, flow: Float[np.ndarray, "N"] | None = None, per_100_ml: float = PER_100_ML
) -> Float[np.ndarray, "N"]:
    """Seconds that blood has been under way from its root to each node; infinity where it stands, and beyond.

    Args:
        tree: Arteries.
        flow: As for ``velocity_cm_s``.
        per_100_ml: Flow in ml/min to 100 ml of tissue.
    """
    seconds = _stretch_s(tree, flow, per_100_ml)[:, None]
    return _carried(tree, np.zeros(1), gain=np.ones_like(seconds), added=seconds)[:, 0]


def _stretch_s(tree: Tree, flow: np.ndarray | None, per_100_ml: float) -> np.ndarray:
    """Seconds between each node and its parent; a root has no stretch, but its blood may stand as well."""
    velocity = velocity_cm_s(tree, flow=flow, per_100_ml=per_100_ml)
    length_mm = np.linalg.norm(tree.points_mm - tree.points_mm[_parent_or_self(tree)], axis=1)
    return np.divide(length_mm / 10, velocity, out=np.full(len(velocity), np.inf), where=velocity > 0)


def _parent_or_self(tree: Tree) -> np.ndarray:
    return np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))


def _carried(tree: Tree, start: np.ndarray, *, gain: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Downstream x = gain·x(parent) + added, (N, S) from (N, S); what flows into a root has ``start``, (S,)."""
    values = added + gain * start
    for node in np.flatnonzero(tree.parent >= 0):  # parents come first
        values[node] = added[node] + gain[node] * values[tree.parent[node]]
    return values


def blood_signal(
    tree: Tree,
    protocol: TimeOfFlight,
    blood: Relaxation,
    *,
    flow: Float[np.ndarray, "N"] | None = None,
    per_100_ml: float = PER_100_ML,
) -> Float[np.ndarray, "N"]:
    """Time-of-flight signal of the blood at each node, relative to water's density; 0 outside the slabs.

    Blood comes fresh into the roots, whether they lie below the slabs or in them. Where the flow is 0 it is as
    saturated as tissue with its constants would be, and so it is beyond, in every slab: what comes round through
    collaterals has crept through the slab from another side for seconds, and is not fresh where a slab begins.

    Args:
        tree: Arteries, in the space of the slabs.
        protocol: Slabs and times.
        blood: Constants of arterial blood, ``relaxation.TISSUES[b0]["arterial_blood"]``.
        flow: Share of the normal flow at each node, 0 to 1, as behind clots; all of it by default.
        per_100_ml: Flow in ml/min to 100 ml of tissue.

    Raises:
        InputRejected: A share outside [0, 1], or not one for each node.
    """
    z, times = tree.points_mm[:, 2], {"tr_ms": protocol.tr_ms, "t1_ms": blood.t1_ms}
    flips = protocol.flips_deg((z + z[_parent_or_self(tree)]) / 2)
    pulses = 1000 / protocol.tr_ms * _stretch_s(tree, flow, per_100_ml)
    kept, steady = _kept(flips, **times) ** pulses[:, None], steady_magnetisation(flips, **times)
    left = _carried(tree, np.ones(protocol.slabs), gain=kept, added=steady * (1 - kept))
    here, stopped = protocol.flips_deg(z), tree.downstream(_shares(tree, flow) == 0)
    left = np.where(stopped[:, None], steady_magnetisation(here, **times), left)
    transverse = protocol.imaged(left * np.sin(np.radians(here)), z)
    return blood.density * np.exp(-protocol.te_ms / blood.t2_star_ms) * transverse


def stationary_signal(
    tissue: Relaxation, protocol: TimeOfFlight, z_mm: Float[np.ndarray, "*M"]
) -> Float[np.ndarray, "*M"]:
    """Time-of-flight signal of tissue at rest at each height, relative to water's density; 0 outside the slabs.

    It is ``signal.gradient_echo`` at the flip angle there: with edges or a ramp the slabs' borders show.
    """
    flips = protocol.imaged(protocol.flips_deg(z_mm), z_mm)
    steady = steady_magnetisation(flips, tr_ms=protocol.tr_ms, t1_ms=tissue.t1_ms)
    return tissue.density * np.exp(-protocol.te_ms / tissue.t2_star_ms) * np.sin(np.radians(flips)) * steady


def vascular_hyperintensity(
    blood: Relaxation, flow: Float[np.ndarray, "N"], *, te_ms: float, ti_ms: float, tr_ms: float
) -> Float[np.ndarray, "N"]:
    """FLAIR signal of arterial blood at each node, relative to water's density: (1 − f) times that of standing blood.

    Args:
        blood: Constants of the blood in these arteries.
        flow: Share of the normal flow, 0 to 1: 1 is void, 0 stands.
        te_ms: Echo time.
        ti_ms: Inversion time.
        tr_ms: Repetition time.

    Raises:
        InputRejected: A share outside [0, 1].
    """
    if not ((flow >= 0) & (flow <= 1)).all():
        found = f"{flow.min()} to {flow.max()}"
        raise InputRejected("flow", expected="shares from 0 to 1", found=found, do="divide by the normal flow")
    return (1 - flow) * inversion_recovery(blood, te_ms=te_ms, ti_ms=ti_ms, tr_ms=tr_ms)
