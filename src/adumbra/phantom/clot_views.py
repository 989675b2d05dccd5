"""What SWI and TOF show of the clots of a patient, on the slices of each."""

from dataclasses import dataclass

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import Box, sub_grid
from adumbra.core.types import Volume
from adumbra.phantom.body import Body, clot_tree, paint_clot
from adumbra.phantom.pathology.clot import Clot
from adumbra.phantom.patient import SimulatedPatient
from adumbra.phantom.physics import inflow
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.physics.relaxation import TISSUES
from adumbra.phantom.physics.signal import GradientEcho
from adumbra.phantom.physics.susceptibility import bore_direction, relative_field
from adumbra.phantom.scanner import sequences
from adumbra.phantom.scanner.acquisition import SliceSampler
from adumbra.phantom.vasculature.lumen import vessel_fraction
from adumbra.phantom.vasculature.vessels import Tree

REACH_MM = 12.0
"""How far beyond a clot its field takes signal away."""
SEEN = 1.25
"""Signal of blood over that of stationary blood from which flow is visible on TOF."""


@dataclass(frozen=True, eq=False)
class ClotView:
    """A clot on a part of some slices.

    Attributes:
        box: The part of the slices.
        lumen: (X, Y, S), fraction of each voxel that the clot fills.
        lost: (X, Y, S), signal of the gradient echo that the clot takes away, over that of white matter; None without
            SWI.
        without_flow: (X, Y, S), the part of ``lumen`` in which TOF would show flow; zero without TOF.
    """

    box: Box
    lumen: Volume
    lost: Volume | None
    without_flow: Volume


def cropped(
    sampler: SliceSampler, grid: Grid, low_mm: np.ndarray, high_mm: np.ndarray
) -> tuple[SliceSampler, Box] | None:
    """The part of some slices that covers a box, sampled from a part of the head.

    Args:
        sampler: The whole slices, without a warp.
        grid: Grid of the part of the head.
        low_mm: (3,), the lower corner of the box, in millimetres of the head.
        high_mm: (3,), its upper corner.

    Returns:
        The sampler, and the part of the whole slices; None where they do not reach the box.
    """
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    to_scanner = np.linalg.inv(sampler.moved)
    at_mm = (low_mm + corners * (high_mm - low_mm)) @ to_scanner[:3, :3].T + to_scanner[:3, 3]
    at = sampler.grid.index(at_mm)
    low = np.maximum(np.floor(at.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(at.max(axis=0)).astype(int) + 1, sampler.grid.shape)
    if (high <= low).any():
        return None
    slices = sub_grid(sampler.grid, low.tolist(), (high - low).tolist())
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return SliceSampler(grid, sampler.stack, sampler.moved, None, slices), (x, y, z)


def lost_signal(
    body: Body,
    texture: sequences.Texture,
    echo: GradientEcho,
    field_ppm: Volume,
    change_ppm: Volume,
    sampler: SliceSampler,
    *,
    b0_tesla: float,
) -> np.ndarray:
    """The magnitude of the gradient echo with open arteries minus that with clots, on the slices.

    Args:
        body: The composition with the clots.
        texture: The subject's spatial variation.
        echo: Times of the gradient echo.
        field_ppm: (X, Y, Z), the relative field with the clots.
        change_ppm: (X, Y, Z), the part of it that is due to them.
        sampler: The slices.
        b0_tesla: Field strength.
    """
    fractions = dict(body.fractions)
    fractions["artery"] = fractions["artery"] + fractions["clot"]
    fractions["clot"] = np.zeros_like(fractions["clot"])
    open_body = Body(fractions, body.tissues, body.extra_r2, body.extra_r2_star, None, None, None)
    magnitudes = []
    for one, field in ((open_body, field_ppm - change_ppm), (body, field_ppm)):
        echoes = sequences.gradient_echoes(one, texture, echo, field, b0_tesla=b0_tesla)
        magnitudes.append(np.mean([np.hypot(sampler.sample(a), sampler.sample(b)) for a, b in echoes], axis=0))
    return np.asarray(magnitudes[0] - magnitudes[1], np.float32)


def visible_flow(arteries: Tree, protocol: TimeOfFlight, *, b0_tesla: float) -> np.ndarray:
    """The nodes at which TOF shows the flow of open arteries, (N,) bool.

    Args:
        arteries: The open arteries.
        protocol: Slabs and times.
        b0_tesla: Field strength.
    """
    blood = TISSUES[b0_tesla]["arterial_blood"]
    stationary = inflow.stationary_signal(blood, protocol, arteries.points_mm[:, 2])
    return np.asarray(inflow.blood_signal(arteries, protocol, blood) > SEEN * stationary)


def clot_views(patient: SimulatedPatient, name: str = "swi") -> tuple[ClotView | None, ...]:
    """The views of the clots of a patient on one image, in their order; None for one that lies outside it.

    Args:
        patient: The patient.
        name: The image, ``"swi"`` or ``"tof"``.
    """
    vessels, stroke, acquired = patient.vessels, patient.disease.stroke, patient.acquisitions
    if vessels is None or stroke is None or name not in acquired:
        return ()
    flowing = np.zeros(len(vessels.arteries.parent), dtype=bool)
    if "tof" in patient.setup.sequences:
        flowing = visible_flow(vessels.arteries, patient.setup.angiography, b0_tesla=patient.setup.tesla)
    return tuple(_view(patient, acquired[name].sampler, clot, flowing, has_swi=name == "swi") for clot in stroke.clots)


def _view(
    patient: SimulatedPatient, whole: SliceSampler, clot: Clot, flowing: np.ndarray, *, has_swi: bool
) -> ClotView | None:
    head, body = patient.head, patient.body
    low_mm, high_mm = clot.points_mm.min(axis=0) - REACH_MM, clot.points_mm.max(axis=0) + REACH_MM
    box = _voxels(head.grid, low_mm - REACH_MM, high_mm + REACH_MM)
    grid = sub_grid(head.grid, [s.start for s in box], [s.stop - s.start for s in box])
    part = cropped(whole, grid, low_mm, high_mm)
    if part is None:
        return None
    sampler, slices = part
    fraction, chi = paint_clot(clot, grid)
    shown = vessel_fraction(clot_tree(clot), grid, nodes=flowing[clot.nodes])
    lost = None
    if has_swi and patient.examined.field_ppm is not None:
        fractions = {name: volume[box] for name, volume in body.fractions.items()}
        local = Body(fractions, body.tissues, body.extra_r2[box], body.extra_r2_star[box], None, None, None)
        texture = sequences.Texture(patient.examined.texture.weight[box], patient.examined.texture.water[box])
        change = relative_field(chi, grid.spacing_mm, b0_direction=bore_direction(grid))
        field, echo = patient.examined.field_ppm[box], patient.setup.gradient_echo
        lost = lost_signal(local, texture, echo, field, change, sampler, b0_tesla=patient.setup.tesla)
        lost /= np.float32(patient.acquisitions["swi"].typical)
    return ClotView(slices, sampler.sample(fraction), lost, sampler.sample(shown))


def _voxels(grid: Grid, low_mm: np.ndarray, high_mm: np.ndarray) -> Box:
    """The voxels of a grid, whose axes are those of the world, between two corners."""
    low = np.maximum(np.floor(grid.index(low_mm[None])[0]).astype(int), 0)
    high = np.minimum(np.ceil(grid.index(high_mm[None])[0]).astype(int) + 1, grid.shape)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z
