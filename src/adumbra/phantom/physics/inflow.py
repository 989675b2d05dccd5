"""Signal of flowing blood: inflow enhancement in time-of-flight angiography, flow void in FLAIR.

Time of flight   M(n) = M∞ + (M(0) − M∞)·(cosα·E1)ⁿ,   S = ρ · sinα · M · exp(−TE/T2*)

Fresh blood enters a slab with M = 1. After a time t it has received n = t/TR pulses of flip angle α; M∞ is the steady
state of stationary tissue (``signal.steady_magnetisation``). The time comes from the arterial tree: along every stretch
t = length/velocity, with velocity = flow/(π·r²) and the flow that the tissue downstream demands. By Murray's law the
velocity falls with the radius. Slow distal blood is therefore saturated, and stationary blood is as dark as tissue.

The recurrence is applied stretch by stretch, with the flip angle at the middle of each stretch. Several thin slabs
(MOTSA: Parker et al., Magn Reson Med 1991;17:434) are excited one after the other, and blood is fresh for each. A ramp
(TONE) reduces the flip angle where blood enters and increases it where blood leaves.

Not modelled: laminar profile and pulsation (plug flow at the mean velocity), turbulence and flow voids,
magnetisation transfer (which darkens tissue, not blood), venous saturation bands. Slabs are axial, in ascending order.

FLAIR            S = (1 − f) · S_IR

Blood that leaves the slice between the pulses gives no echo. The part that has left grows linearly with velocity; f is
the flow as a share of normal flow, at which all blood has left. Stationary blood has the signal S_IR of inversion
recovery. Hyperintense vessels therefore show slow flow (Sanossian et al., AJNR 2009;30:564).
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
"""Flow in ml/min per 100 ml of a tree's tissue, at which all four arteries carry 717 ml/min (Zarrinkoob et al. 2015).

Their mean perfusion is 55 to 61 ml/min/100 ml; the template's brain of 1.7 l is larger than those of their subjects.
"""


@dataclass(frozen=True)
class TimeOfFlight:
    """A protocol of 3D time-of-flight angiography.

    Attributes:
        lower_mm: Lower end of the lowest slab, along z in the space of the tree.
        upper_mm: Upper end of the highest slab.
        slabs: Number of slabs, of equal thickness.
        overlap: Share of a slab's thickness that the next slab covers too, from 0 to below 1.
        tr_ms: Repetition time.
        te_ms: Echo time.
        flip_deg: Flip angle in the middle of a slab.
        ramp: Relative change of the flip angle: lower by this share at a slab's lower end, higher at its upper end.
        edge_mm: Length over which the flip angle rises from 0 at either end of a slab, half of it outside the slab.
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
            given = f"{self.slabs} from {self.lower_mm} to {self.upper_mm} mm, overlap {self.overlap}"
            raise InputRejected(
                "slabs", expected="1 or more of a thickness, overlap below 1", found=given, do="correct it"
            )
        if not (0 < self.flip_deg * (1 + abs(self.ramp)) <= 90 and abs(self.ramp) <= 1 and self.tr_ms > 0):
            given = f"{self.flip_deg}°, ramp {self.ramp}, TR {self.tr_ms} ms"
            raise InputRejected(
                "flip_deg", expected="above 0°, to 90° at the end", found=given, do="lower flip or ramp"
            )

    @property
    def thickness_mm(self) -> float:
        """Thickness of one slab."""
        return (self.upper_mm - self.lower_mm) / (1 + (self.slabs - 1) * (1 - self.overlap))

    def flips_deg(self, z_mm: Float[np.ndarray, "*M"]) -> Float[np.ndarray, "*M S"]:
        """The flip angle of each slab's pulses at each height, with the slabs along the last axis.

        Args:
            z_mm: Heights, of any shape.
        """
        begins = self.lower_mm + np.arange(self.slabs) * self.thickness_mm * (1 - self.overlap)
        along = np.expand_dims(z_mm.astype(np.float64), -1) - begins
        depth = np.minimum(along, self.thickness_mm - along)
        edge = np.clip(depth / self.edge_mm + 0.5, 0, 1) if self.edge_mm > 0 else depth >= 0
        ramp = 1 + self.ramp * np.clip(2 * along / self.thickness_mm - 1, -1, 1)
        return np.asarray(self.flip_deg * ramp * edge)

    def imaged(self, of_slabs: Float[np.ndarray, "*M S"], z_mm: Float[np.ndarray, "*M"]) -> Float[np.ndarray, "*M"]:
        """The value of the slab that images each height, which is the one with the nearest middle.

        Args:
            of_slabs: Values for all slabs, along the last axis.
            z_mm: Heights, of the shape of the other axes.
        """
        middle = self.lower_mm + self.thickness_mm / 2
        slab = np.rint((z_mm - middle) / (self.thickness_mm * (1 - self.overlap)))
        index = np.clip(slab, 0, self.slabs - 1).astype(np.intp)
        return np.take_along_axis(of_slabs, index[..., None], axis=-1)[..., 0]


def longitudinal(
    pulses: Float[np.ndarray, "*M"], *, flip_deg: float, tr_ms: float, t1_ms: float, fresh: float = 1.0
) -> Float[np.ndarray, "*M"]:
    """Longitudinal magnetisation of blood after a number of pulses, relative to equilibrium.

    Args:
        pulses: Number of pulses. A fraction is the mean over arrival times; infinity is the steady state.
        flip_deg: Flip angle, above 0 to 90.
        tr_ms: Repetition time.
        t1_ms: T1 of blood.
        fresh: Magnetisation before the first pulse.
    """
    steady = steady_magnetisation(np.array(flip_deg, np.float64), tr_ms=tr_ms, t1_ms=t1_ms)
    return np.asarray(
        steady + (fresh - steady) * _remaining_per_pulse(np.array(flip_deg, np.float64), tr_ms, t1_ms) ** pulses
    )


def _remaining_per_pulse(flip_deg: np.ndarray, tr_ms: float, t1_ms: float) -> np.ndarray:
    """cosα·E1: the share of a deviation from the steady state that remains after one pulse and repetition time."""
    return np.asarray(np.maximum(np.cos(np.radians(flip_deg)), 0.0) * np.exp(-tr_ms / t1_ms))


@cites("Zarrinkoob2015")
def velocity_cm_s(
    tree: Tree, *, flow: Float[np.ndarray, "N"] | None = None, per_100_ml: float = PER_100_ML
) -> Float[np.ndarray, "N"]:
    """Mean velocity of the blood between each node and its parent in cm/s; 0 without flow or lumen.

    Args:
        tree: Arteries.
        flow: Share of the normal flow at each node, 0 to 1; normal flow by default.
        per_100_ml: Normal flow in ml/min per 100 ml of tissue.

    Raises:
        InputRejected: A share lies outside [0, 1], or their number is not that of the nodes.
    """
    ml_s = _shares(tree, flow) * tree.supplied_ml * per_100_ml / 100 / 60
    area_cm2 = np.pi * (tree.radius_mm / 10) ** 2
    return np.divide(ml_s, area_cm2, out=np.zeros_like(ml_s), where=area_cm2 > 0)


def _shares(tree: Tree, flow: np.ndarray | None) -> np.ndarray:
    """The checked flow shares of all nodes, (N,); 1 where none are given."""
    if flow is None:
        return np.ones(len(tree.parent))
    if flow.shape != tree.parent.shape or not ((flow >= 0) & (flow <= 1)).all():
        expected, given = f"{len(tree.parent)} shares from 0 to 1", f"{flow.shape}, {flow.min()} to {flow.max()}"
        raise InputRejected("flow", expected=expected, found=given, do="give one for each node of the tree")
    return flow.astype(np.float64)


def transit_s(
    tree: Tree, *, flow: Float[np.ndarray, "N"] | None = None, per_100_ml: float = PER_100_ML
) -> Float[np.ndarray, "N"]:
    """Transit time of the blood from the root to each node in s; infinite from the first node without flow on.

    Args:
        tree: Arteries.
        flow: Share of the normal flow at each node, as for ``velocity_cm_s``.
        per_100_ml: Normal flow in ml/min per 100 ml of tissue.
    """
    seconds = _stretch_s(tree, flow, per_100_ml)[:, None]
    return _propagate(tree, np.zeros(1), gain=np.ones_like(seconds), added=seconds)[:, 0]


def _stretch_s(tree: Tree, flow: np.ndarray | None, per_100_ml: float) -> np.ndarray:
    """Transit time between each node and its parent in s; 0 at a root with flow, infinite without flow."""
    velocity = velocity_cm_s(tree, flow=flow, per_100_ml=per_100_ml)
    length_mm = np.linalg.norm(tree.points_mm - tree.points_mm[_parent_or_self(tree)], axis=1)
    return np.divide(length_mm / 10, velocity, out=np.full(len(velocity), np.inf), where=velocity > 0)


def _parent_or_self(tree: Tree) -> np.ndarray:
    """The parent of each node, and the node itself for a root, (N,)."""
    return np.where(tree.parent >= 0, tree.parent, np.arange(len(tree.parent)))


def _propagate(tree: Tree, start: np.ndarray, *, gain: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Computes x = gain·x(parent) + added downstream, (N, S); the inflow of a root has x = ``start``, (S,)."""
    values = added + gain * start
    for nodes in tree.generations[1:]:
        values[nodes] = added[nodes] + gain[nodes] * values[tree.parent[nodes]]
    return values


def blood_signal(
    tree: Tree,
    protocol: TimeOfFlight,
    blood: Relaxation,
    *,
    flow: Float[np.ndarray, "N"] | None = None,
    per_100_ml: float = PER_100_ML,
) -> Float[np.ndarray, "N"]:
    """Time-of-flight signal of the blood at each node, relative to water; 0 outside the slabs.

    Blood is fresh at the roots, whether they lie below the slabs or in them. At a node without flow, and at all nodes
    downstream of one, blood is in the steady state in every slab: collateral blood crosses a slab slowly from another
    side, and is not fresh at the beginning of a slab.

    Args:
        tree: Arteries, in the space of the slabs.
        protocol: Slabs and times.
        blood: Constants of arterial blood, ``relaxation.TISSUES[b0]["arterial_blood"]``.
        flow: Share of the normal flow at each node, 0 to 1; normal flow by default.
        per_100_ml: Normal flow in ml/min per 100 ml of tissue.

    Raises:
        InputRejected: A share lies outside [0, 1], or their number is not that of the nodes.
    """
    z, times = tree.points_mm[:, 2], {"tr_ms": protocol.tr_ms, "t1_ms": blood.t1_ms}
    flips = protocol.flips_deg((z + z[_parent_or_self(tree)]) / 2)
    pulses = 1000 / protocol.tr_ms * _stretch_s(tree, flow, per_100_ml)
    remaining, steady = _remaining_per_pulse(flips, **times) ** pulses[:, None], steady_magnetisation(flips, **times)
    left = _propagate(tree, np.ones(protocol.slabs), gain=remaining, added=steady * (1 - remaining))
    here, stopped = protocol.flips_deg(z), tree.downstream(_shares(tree, flow) == 0)
    left = np.where(stopped[:, None], steady_magnetisation(here, **times), left)
    transverse = protocol.imaged(left * np.sin(np.radians(here)), z)
    return blood.density * np.exp(-protocol.te_ms / blood.t2_star_ms) * transverse


def stationary_signal(
    tissue: Relaxation, protocol: TimeOfFlight, z_mm: Float[np.ndarray, "*M"]
) -> Float[np.ndarray, "*M"]:
    """Time-of-flight signal of stationary tissue at each height, relative to water; 0 outside the slabs.

    It is ``signal.gradient_echo`` at the local flip angle. With edges or a ramp the borders of the slabs are visible.

    Args:
        tissue: Relaxation constants of the tissue.
        protocol: Slabs and times.
        z_mm: Heights, of any shape.
    """
    flips = protocol.imaged(protocol.flips_deg(z_mm), z_mm)
    steady = steady_magnetisation(flips, tr_ms=protocol.tr_ms, t1_ms=tissue.t1_ms)
    return tissue.density * np.exp(-protocol.te_ms / tissue.t2_star_ms) * np.sin(np.radians(flips)) * steady


def vascular_hyperintensity(
    blood: Relaxation, flow: Float[np.ndarray, "N"], *, te_ms: float, ti_ms: float, tr_ms: float
) -> Float[np.ndarray, "N"]:
    """FLAIR signal of arterial blood at each node, relative to water's proton density: (1 − f)·S_IR.

    Args:
        blood: Relaxation constants of the blood in these arteries.
        flow: Share of the normal flow, from 0, stationary, to 1, void.
        te_ms: Echo time.
        ti_ms: Inversion time.
        tr_ms: Repetition time.

    Raises:
        InputRejected: A share lies outside [0, 1].
    """
    if not ((flow >= 0) & (flow <= 1)).all():
        given = f"{flow.min()} to {flow.max()}"
        raise InputRejected("flow", expected="shares from 0 to 1", found=given, do="divide by the normal flow")
    return (1 - flow) * inversion_recovery(blood, te_ms=te_ms, ti_ms=ti_ms, tr_ms=tr_ms)
