"""The composition of the head: tissue fractions, relaxation constants and magnetic susceptibility of each voxel.

Tissues: grey and white matter, each normal, infarcted or scarred; fluid, vitreous body, scalp; open arteries, veins,
clots. The signal of a voxel is the sum over its tissue fractions (``sequences``). Iron, old blood and calcification add
to the transverse relaxation rates or to the susceptibility. The oxygenation of a vein is that of the tissue that it
drains, and is lower behind a clot.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.nuclei import nucleus_fractions, sample_calcification
from adumbra.phantom.pathology.clot import Clot
from adumbra.phantom.pathology.disease import Disease
from adumbra.phantom.pathology.perfusion import HYPOPERFUSED_S
from adumbra.phantom.physics import signal
from adumbra.phantom.physics.iron import sample_iron_ppm
from adumbra.phantom.physics.relaxation import TISSUES, Relaxation, blood
from adumbra.phantom.physics.susceptibility import CHI_PPM, blood_chi, bore_direction, relative_field
from adumbra.phantom.vasculature.lumen import paint_vessels, vessel_fraction
from adumbra.phantom.vasculature.subject import Vasculature
from adumbra.phantom.vasculature.vessels import Tree, line_tree, towards_roots

# Rates in 1/ms that each ppm of iron adds, by field: R2 and R2* of the pallidum minus those of grey matter, over the
# pallidum's 0.19 ppm.
_IRON_R2: Mapping[float, float] = {1.5: 0.035, 3.0: 0.078}
_IRON_R2_STAR: Mapping[float, float] = {1.5: 0.060, 3.0: 0.119}
_VENOUS_OXYGENATION = 0.66  # normal
_LEAST_VENOUS_OXYGENATION = 0.40  # at maximal oxygen extraction
_HAEMATOCRIT = 0.42
OLD_BLOOD_PPM = 1.8
"""Susceptibility of the haemosiderin of a microbleed, approximately."""
OLD_BLOOD_R2_STAR = 0.08
"""The part of 1/T2* due to it, in 1/ms."""
_CORE = 0.6  # radius of the pale core of a layered clot, relative to that of its lumen
_CALCIFYING = ("csf", "grey", "white")  # tissues that calcifications replace
_NECK_MM = 40.0  # length by which the lowest slice is continued below the head when the field is computed


@dataclass(frozen=True, eq=False)
class Blood:
    """The fraction of each voxel that vessels fill.

    Attributes:
        arteries: (X, Y, Z), open arteries and those behind a clot, without the clot itself.
        veins: (X, Y, Z), all veins.
        clot: (X, Y, Z), the lumen filled by clots.
        red: Mean fraction of red cells in the clots.
    """

    arteries: Volume
    veins: Volume
    clot: Volume
    red: float


@dataclass(frozen=True, eq=False)
class Body:
    """The composition of one subject on the grid of the head.

    Attributes:
        fractions: Fraction of each tissue in each voxel. They sum to at most 1; the rest is bone and air.
        tissues: Relaxation constants of each tissue.
        extra_r2: (X, Y, Z), the part of 1/T2 due to iron and old blood, in 1/ms.
        extra_r2_star: (X, Y, Z), the part of 1/T2* due to iron and old blood, in 1/ms.
        chi_ppm: (X, Y, Z), the susceptibility in ppm; None where no field was requested.
        field_ppm: (X, Y, Z), ΔB/B0 of that susceptibility in ppm, before the shim; None where no field was requested.
        blood: The vessels; None where none were grown.
        calcification: (X, Y, Z), the calcified fraction; None where no field was requested.
    """

    fractions: Mapping[str, Volume]
    tissues: Mapping[str, Relaxation]
    extra_r2: Volume
    extra_r2_star: Volume
    chi_ppm: Volume | None
    field_ppm: Volume | None
    blood: Blood | None
    calcification: Volume | None = None


def build_body(
    rng: np.random.Generator,
    head: Head,
    vessels: Vasculature | None,
    disease: Disease,
    *,
    b0_tesla: float,
    magnetic: bool,
) -> Body:
    """The composition of a subject with its disease at one field strength.

    Args:
        rng: Source of the variation of the tissue constants, iron and calcification.
        head: The subject's anatomy.
        vessels: The subject's vessels; None for a phantom without vessels.
        disease: The subject's disease.
        b0_tesla: Field strength, 1.5 or 3.
        magnetic: Whether susceptibility and its field are computed.
    """
    vessel_blood, blood_ppm = _paint_blood(head, vessels, disease) if vessels is not None else (None, None)
    tissues, fractions = _sample_tissues(rng, disease, b0_tesla, vessel_blood), _fractions(head, disease, vessel_blood)
    iron = sample_iron_ppm(rng, head, nucleus_fractions(head))
    spread = np.float32(rng.uniform(0.6, 1.3))
    # The constants of grey matter already include the iron of the cortex.
    deep = np.maximum(iron - np.float32(CHI_PPM["grey"]) * head.grey, 0)
    extra_r2 = np.float32(_IRON_R2[b0_tesla]) * spread * deep + np.float32(rng.uniform(0.01, 0.05)) * disease.bleeds
    extra_r2_star = np.float32(_IRON_R2_STAR[b0_tesla]) * spread * deep + np.float32(OLD_BLOOD_R2_STAR) * disease.bleeds
    chi = field = calcification = None
    if magnetic:
        calcification = sample_calcification(rng, head)
        for name in _CALCIFYING:
            fractions[name] *= 1 - calcification
        chi = _susceptibility(head, disease, blood_ppm, iron, calcification)
        margin = (0, 0, round(_NECK_MM / head.grid.spacing_mm[2]))
        along = bore_direction(head.grid)
        field = relative_field(chi, head.grid.spacing_mm, b0_direction=along, outside_ppm=CHI_PPM["air"], margin=margin)
    return Body(fractions, tissues, extra_r2, extra_r2_star, chi, field, vessel_blood, calcification)


def tissue_without_vessels(head: Head, disease: Disease, body: Body) -> dict[str, Volume]:
    """The fraction of each tissue in each voxel as it would be without vessels, which displace all tissues alike.

    Args:
        head: The subject's anatomy.
        disease: The subject's disease.
        body: The composition of the subject with its vessels.
    """
    fractions = _fractions(head, disease, None)
    if body.calcification is not None:
        for name in _CALCIFYING:
            fractions[name] = fractions[name] * (1 - body.calcification)
    return fractions


def _sample_tissues(
    rng: np.random.Generator, disease: Disease, b0_tesla: float, vessel_blood: Blood | None
) -> dict[str, Relaxation]:
    """Samples the relaxation constants of each tissue."""
    tissues, stage = signal.sample_tissues(rng, b0_tesla=b0_tesla), disease.stage
    scarred = {"adc": rng.uniform(1.18, 1.6), "t2": rng.uniform(1.25, 2.0), "t1": rng.uniform(1.1, 1.4)}
    infarcted = {"adc": stage.adc_factor, "t2": stage.t2_factor, "t1": stage.t1_factor}
    for name in ("grey", "white"):
        tissues[f"{name} infarcted"] = signal.altered(tissues[name], **infarcted)
        tissues[f"{name} scarred"] = signal.altered(tissues[name], **scarred)
    if vessel_blood is not None:
        tissues["clot"] = clot_relaxation(vessel_blood.red, b0_tesla=b0_tesla)
        tissues["vein"] = blood(_VENOUS_OXYGENATION, b0_tesla=b0_tesla, haematocrit=_HAEMATOCRIT)
        tissues["artery"] = TISSUES[b0_tesla]["arterial_blood"]
    return tissues


def clot_relaxation(red: float, *, b0_tesla: float) -> Relaxation:
    """The relaxation constants of clots.

    Args:
        red: Fraction of red cells in them, 0 to 1.
        b0_tesla: Field strength, 1.5 or 3.
    """
    return _mixed(TISSUES[b0_tesla]["red_thrombus"], TISSUES[b0_tesla]["white_thrombus"], red)


def _mixed(one: Relaxation, other: Relaxation, share: float) -> Relaxation:
    """A mixture of two tissues: rates, density and ADC are interpolated by the share of the first."""
    rates = (share / a + (1 - share) / b for a, b in ((one.t1_ms, other.t1_ms), (one.t2_ms, other.t2_ms),
                                                     (one.t2_star_ms, other.t2_star_ms)))  # fmt: skip
    t1, t2, t2_star = (1 / r for r in rates)
    density, adc = (share * a + (1 - share) * b for a, b in ((one.density, other.density), (one.adc, other.adc)))
    return Relaxation(density, t1, t2, t2_star, adc)


def _fractions(head: Head, disease: Disease, vessel_blood: Blood | None) -> dict[str, Volume]:
    """The fraction of each tissue in each voxel; cavities contain fluid, and vessels displace all tissues alike."""
    infarct, cavity = disease.infarct, disease.cavity
    scar = np.maximum(head.hyperintense, disease.gliosis) * (1 - infarct)
    free = (
        1 - vessel_blood.arteries - vessel_blood.veins - vessel_blood.clot
        if vessel_blood is not None
        else np.float32(1)
    )
    free = np.maximum(free, np.float32(0))
    healthy, scarred = (1 - cavity) * (1 - infarct) * (1 - scar), (1 - cavity) * (1 - infarct) * scar
    fractions = {
        "csf": (head.csf + cavity * head.tissue * (1 - infarct)) * free,
        "vitreous": head.vitreous,
        "soft": head.soft * free,
    }
    for name, whole in (("grey", head.grey * free), ("white", head.white * free)):
        fractions |= {name: whole * healthy, f"{name} infarcted": whole * infarct, f"{name} scarred": whole * scarred}
    if vessel_blood is not None:
        fractions |= {"artery": vessel_blood.arteries, "vein": vessel_blood.veins, "clot": vessel_blood.clot}
    return fractions


def clot_tree(clot: Clot) -> Tree:
    """A clot as a vessel tree of one branch.

    Args:
        clot: The clot.
    """
    return line_tree(clot.points_mm, clot.radius_mm)


def _paint_blood(head: Head, vessels: Vasculature, disease: Disease) -> tuple[Blood, Volume]:
    """Paints arteries, veins and clots within the head; returns their fractions and their susceptibility in ppm."""
    clots = disease.stroke.clots if disease.stroke is not None else ()
    inside = 1 - head.air - head.bone
    clot_fraction, clot_chi = np.zeros(head.grid.shape, np.float32), np.zeros(head.grid.shape, np.float32)
    for clot in clots:
        fraction, chi = paint_clot(clot, head.grid)
        clot_fraction, clot_chi = np.maximum(clot_fraction, fraction), np.maximum(clot_chi, chi)
    arteries = np.clip(vessel_fraction(vessels.arteries, head.grid) * inside - clot_fraction, 0, 1)
    veins, vein_chi = paint_vessels(vessels.veins, head.grid, venous_chi(head, vessels, disease))
    room = np.clip((1 - arteries - clot_fraction) / np.maximum(veins, 1e-6), 0, 1) * inside
    red = float(np.mean([c.red for c in clots])) if clots else 0.0
    return Blood(arteries, veins * room, clot_fraction, red), clot_chi + vein_chi * room


def paint_clot(clot: Clot, grid: Grid) -> tuple[Volume, Volume]:
    """The fraction of each voxel that a clot fills, and its susceptibility, higher in the rim of a layered clot.

    Args:
        clot: The clot.
        grid: The grid to paint on.

    Returns:
        The fraction, and the susceptibility in ppm as a mean over the voxel.
    """
    tree = clot_tree(clot)
    whole = vessel_fraction(tree, grid)
    mean_chi = blood_chi(clot.oxygenation, clot.haematocrit)
    if not clot.layered:
        return whole, whole * np.float32(mean_chi)
    core = vessel_fraction(tree, grid, widened=_CORE)
    core_chi, rim_chi = 0.3 * mean_chi, mean_chi * (1 - 0.3 * _CORE**2) / (1 - _CORE**2)  # preserves the mean
    return whole, np.clip(whole - core, 0, 1) * np.float32(rim_chi) + core * np.float32(core_chi)


def venous_chi(head: Head, vessels: Vasculature, disease: Disease) -> np.ndarray:
    """The susceptibility of the blood at each node of the veins in ppm, (N,).

    Args:
        head: The subject's anatomy.
        vessels: The subject's vessels.
        disease: Its delays lower the oxygenation.
    """
    return blood_chi(0.0, _HAEMATOCRIT) * (1 - _venous_oxygenation(head, vessels, disease))


def _venous_oxygenation(head: Head, vessels: Vasculature, disease: Disease) -> np.ndarray:
    """Oxygenation of the blood at each node of the veins, (N,): the mean of the drained tissue, weighted by flow.

    Oxygen extraction rises with the delay, from normal at a Tmax of 3 s to maximal at 9 s. Infarcted tissue extracts
    nothing.
    """
    tree, oxygenation = vessels.veins, np.full(len(vessels.veins.parent), _VENOUS_OXYGENATION)
    if disease.stroke is not None and disease.stroke.hypoperfused.any():
        delay_s = disease.stroke.tmax_s * (1 - disease.infarct)
        at = head.grid.index(tree.points_mm).T
        node_delay_s = ndimage.map_coordinates(delay_s, at, order=1, mode="nearest")
        extraction = np.clip((node_delay_s - HYPOPERFUSED_S / 2) / HYPOPERFUSED_S, 0, 1)
        own = _VENOUS_OXYGENATION - (_VENOUS_OXYGENATION - _LEAST_VENOUS_OXYGENATION) * extraction
        drained = towards_roots(tree.parent, tree.own_ml)
        carried = towards_roots(tree.parent, tree.own_ml * own)
        oxygenation = np.divide(carried, drained, out=oxygenation, where=drained > 0)
    return oxygenation


def _susceptibility(
    head: Head, disease: Disease, blood_ppm: Volume | None, iron: Volume, calcification: Volume
) -> Volume:
    """The mean susceptibility of each voxel in ppm."""
    chi = iron + np.float32(CHI_PPM["bone"]) * head.bone + np.float32(CHI_PPM["air"]) * head.air
    chi += np.float32(CHI_PPM["calcification"]) * calcification + np.float32(OLD_BLOOD_PPM) * disease.bleeds
    if blood_ppm is not None:
        chi += blood_ppm
    return chi
