"""The head as matter: what each voxel holds, how each kind of it relaxes, and how magnetic it is.

Kinds: grey and white matter, each normal, infarcted or scarred; fluid, eyes, scalp; open arteries, veins, clots, old
blood, calcification. Their shares of a voxel are summed as signals (``sequences``); iron beside them shortens T2 and
T2*, by its susceptibility. A vein's oxygen is what the tissue that it drains has left: less behind a clot.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.nuclei import calcified, iron_ppm, nuclei
from adumbra.phantom.pathology.clot import Clot
from adumbra.phantom.pathology.disease import Disease
from adumbra.phantom.pathology.perfusion import HYPOPERFUSED_S
from adumbra.phantom.pathology.stroke import Vasculature
from adumbra.phantom.physics import signal
from adumbra.phantom.physics.relaxation import TISSUES, Relaxation, blood
from adumbra.phantom.physics.susceptibility import CHI_PPM, blood_chi, bore_direction, relative_field
from adumbra.phantom.vasculature.lumen import occupied, painted
from adumbra.phantom.vasculature.vessels import Tree, towards_roots

# 1/ms that each ppm of iron adds, by field: the pallidum's R2 and R2* over grey matter's, over its 0.19 ppm.
_IRON_R2: Mapping[float, float] = {1.5: 0.035, 3.0: 0.078}
_IRON_R2_STAR: Mapping[float, float] = {1.5: 0.060, 3.0: 0.119}
_VENOUS_OXYGEN, _STARVED_OXYGEN = 0.66, 0.40  # normal; and where all that can be is taken from late blood
_HAEMATOCRIT = 0.42
_OLD_BLOOD_PPM = 1.8  # haemosiderin of a microbleed, about
_CORE = 0.6  # radius of the pale core of a layered clot, of its lumen's
_SOLID = ("csf", "grey", "white")  # what calcifications lie in
_NECK_MM = 40.0  # for which the lowest slice goes on below the head, in the field


@dataclass(frozen=True, eq=False)
class Blood:
    """What the vessels of one subject take of each voxel.

    Attributes:
        arteries: Open ones and those behind a clot; the clot itself is not in it.
        veins: All.
        clot: The lumen that clots fill.
        red: Mean share of red cells in the clots.
    """

    arteries: Volume
    veins: Volume
    clot: Volume
    red: float


@dataclass(frozen=True, eq=False)
class Body:
    """One subject on the grid of the head.

    Attributes:
        fractions: Share of each kind in each voxel; they sum to at most 1, the rest is bone and air.
        tissues: Constants of each kind.
        rate, rate_star: What iron and old blood add to 1/T2 and 1/T2*, in 1/ms.
        chi_ppm: Of everything; None where the field is not asked for.
        field_ppm: ΔB/B0 of that, not shimmed.
        blood: Of the vessels; None where none are drawn.
    """

    fractions: Mapping[str, Volume]
    tissues: Mapping[str, Relaxation]
    rate: Volume
    rate_star: Volume
    chi_ppm: Volume | None
    field_ppm: Volume | None
    blood: Blood | None


def body_of(
    rng: np.random.Generator,
    head: Head,
    vessels: Vasculature | None,
    disease: Disease,
    *,
    b0_tesla: float,
    magnetic: bool,
) -> Body:
    """A subject with its disease in a magnet.

    Args:
        rng: Of the tissues' constants.
        head: The subject.
        vessels: The subject's; None draws none.
        disease: The subject's.
        b0_tesla: Field strength, 1.5 or 3.
        magnetic: Whether susceptibility and its field are wanted.
    """
    flowing, blood_ppm = _blood(head, vessels, disease) if vessels is not None else (None, None)
    tissues, fractions = _tissues(rng, disease, b0_tesla, flowing), _fractions(head, disease, flowing)
    iron = iron_ppm(rng, head, nuclei(head))
    spread = np.float32(rng.uniform(0.6, 1.3))
    deep = np.maximum(iron - np.float32(CHI_PPM["grey"]) * head.grey, 0)  # the cortex's is in its constants already
    rate = np.float32(_IRON_R2[b0_tesla]) * spread * deep + np.float32(rng.uniform(0.01, 0.05)) * disease.bleeds
    rate_star = np.float32(_IRON_R2_STAR[b0_tesla]) * spread * deep + np.float32(0.08) * disease.bleeds
    chi = field = None
    if magnetic:
        hard = calcified(rng, head)
        for name in _SOLID:
            fractions[name] *= 1 - hard
        chi = _susceptibility(head, disease, blood_ppm, iron, hard)
        margin = (0, 0, round(_NECK_MM / head.grid.spacing_mm[2]))
        along = bore_direction(head.grid)
        field = relative_field(chi, head.grid.spacing_mm, b0_direction=along, outside_ppm=CHI_PPM["air"], margin=margin)
    return Body(fractions, tissues, rate, rate_star, chi, field, flowing)


def _tissues(
    rng: np.random.Generator, disease: Disease, b0_tesla: float, flowing: Blood | None
) -> dict[str, Relaxation]:
    tissues, since = signal.sample_tissues(rng, b0_tesla=b0_tesla), disease.since
    scarred = {"adc": rng.uniform(1.18, 1.6), "t2": rng.uniform(1.25, 2.0), "t1": rng.uniform(1.1, 1.4)}
    acute = {"adc": since.adc_factor, "t2": since.t2_factor, "t1": since.t1_factor}
    for name in ("grey", "white"):
        tissues[f"{name} infarcted"] = signal.altered(tissues[name], **acute)
        tissues[f"{name} scarred"] = signal.altered(tissues[name], **scarred)
    if flowing is not None:
        red, white = TISSUES[b0_tesla]["red_thrombus"], TISSUES[b0_tesla]["white_thrombus"]
        tissues["clot"] = _mixed(red, white, flowing.red)
        tissues["vein"] = blood(_VENOUS_OXYGEN, b0_tesla=b0_tesla, haematocrit=_HAEMATOCRIT)
        tissues["artery"] = TISSUES[b0_tesla]["arterial_blood"]
    return tissues


def _mixed(one: Relaxation, other: Relaxation, share: float) -> Relaxation:
    """Rates and densities between two kinds, by the share of the first."""
    rates = (share / a + (1 - share) / b for a, b in ((one.t1_ms, other.t1_ms), (one.t2_ms, other.t2_ms),
                                                     (one.t2_star_ms, other.t2_star_ms)))  # fmt: skip
    t1, t2, t2_star = (1 / r for r in rates)
    density, adc = (share * a + (1 - share) * b for a, b in ((one.density, other.density), (one.adc, other.adc)))
    return Relaxation(density, t1, t2, t2_star, adc)


def _fractions(h: Head, disease: Disease, flowing: Blood | None) -> dict[str, Volume]:
    """Normal, infarcted and scarred tissue; cavities are fluid; vessels take their share of all."""
    sick, cavity = disease.amount, disease.cavity
    scar = np.maximum(h.hyperintense, disease.gliosis) * (1 - sick)
    left = 1 - flowing.arteries - flowing.veins - flowing.clot if flowing is not None else np.float32(1)
    left = np.maximum(left, np.float32(0))
    alive, dead, scarred = (1 - cavity) * (1 - sick) * (1 - scar), sick, (1 - cavity) * (1 - sick) * scar
    fractions = {
        "csf": (h.csf + cavity * h.tissue * (1 - sick)) * left,
        "vitreous": h.vitreous,
        "soft": h.soft * left,
    }
    for name, normal in (("grey", h.grey * left), ("white", h.white * left)):
        fractions |= {name: normal * alive, f"{name} infarcted": normal * dead, f"{name} scarred": normal * scarred}
    if flowing is not None:
        fractions |= {"artery": flowing.arteries, "vein": flowing.veins, "clot": flowing.clot}
    return fractions


def clot_tree(clot: Clot) -> Tree:
    """A clot as a tree of one branch, to be painted."""
    count = len(clot.points_mm)
    order = np.arange(count)
    return Tree(clot.points_mm, order - 1, clot.radius_mm, np.ones(count), np.zeros(count, np.intp), ("clot",))


def _blood(head: Head, vessels: Vasculature, disease: Disease) -> tuple[Blood, Volume]:
    """Arteries, veins and clots painted onto the head's grid, nothing outside; and their susceptibility in ppm."""
    lodged = disease.stroke.clots if disease.stroke is not None else ()
    inside = 1 - head.air - head.bone
    filled, clot_chi = np.zeros(head.grid.shape, np.float32), np.zeros(head.grid.shape, np.float32)
    for clot in lodged:
        one, chi = _painted_clot(head, clot)
        filled, clot_chi = np.maximum(filled, one), np.maximum(clot_chi, chi)
    arteries = np.clip(occupied(vessels.arteries, head.grid) * inside - filled, 0, 1)
    oxygen = _venous_oxygen(head, vessels, disease)
    chi = blood_chi(0.0, _HAEMATOCRIT) * (1 - oxygen)
    veins, vein_chi = painted(vessels.veins, head.grid, chi)
    room = np.clip((1 - arteries - filled) / np.maximum(veins, 1e-6), 0, 1) * inside
    red = float(np.mean([c.red for c in lodged])) if lodged else 0.0
    return Blood(arteries, veins * room, filled, red), clot_chi + vein_chi * room


def _painted_clot(head: Head, clot: Clot) -> tuple[Volume, Volume]:
    """What a clot takes of each voxel, and its susceptibility there; a layered one has its red cells in the rim."""
    tree = clot_tree(clot)
    whole = occupied(tree, head.grid)
    packed = blood_chi(clot.oxygenation, clot.haematocrit)
    if not clot.layered:
        return whole, whole * np.float32(packed)
    middle = occupied(tree, head.grid, widened=_CORE)
    pale, rest = 0.3 * packed, packed * (1 - 0.3 * _CORE**2) / (1 - _CORE**2)  # the clot's mean stays what it is
    return whole, np.clip(whole - middle, 0, 1) * np.float32(rest) + middle * np.float32(pale)


def _venous_oxygen(head: Head, vessels: Vasculature, disease: Disease) -> np.ndarray:
    """Oxygenation of the blood at each node of the veins, (N,): the mean of what drains there, weighed by flow.

    Where blood comes late its tissue takes more of the oxygen: from normal at a Tmax of 3 s to all it can at 9 s.
    """
    tree, oxygen = vessels.veins, np.full(len(vessels.veins.parent), _VENOUS_OXYGEN)
    if disease.stroke is not None and disease.stroke.hypoperfused.any():
        late = disease.stroke.tmax_s * (1 - disease.amount)  # what is dead takes nothing
        at = head.grid.index(tree.points_mm).T
        seconds = ndimage.map_coordinates(late, at, order=1, mode="nearest")
        taken = np.clip((seconds - HYPOPERFUSED_S / 2) / HYPOPERFUSED_S, 0, 1)
        own = _VENOUS_OXYGEN - (_VENOUS_OXYGEN - _STARVED_OXYGEN) * taken
        drained = towards_roots(tree.parent, tree.own_ml)
        carried = towards_roots(tree.parent, tree.own_ml * own)
        oxygen = np.divide(carried, drained, out=oxygen, where=drained > 0)
    return oxygen


def _susceptibility(head: Head, disease: Disease, blood_ppm: Volume | None, iron: Volume, hard: Volume) -> Volume:
    chi = iron + np.float32(CHI_PPM["bone"]) * head.bone + np.float32(CHI_PPM["air"]) * head.air
    chi += np.float32(CHI_PPM["calcification"]) * hard + np.float32(_OLD_BLOOD_PPM) * disease.bleeds
    if blood_ppm is not None:
        chi += blood_ppm
    return chi
