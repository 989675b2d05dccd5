"""The images and the truth of a box around a finding in a kept head."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from adumbra.core.case import Scan, scan_from_array
from adumbra.core.errors import InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import Box, sub_grid
from adumbra.core.types import Modality, Volume
from adumbra.phantom.body import OLD_BLOOD_PPM, OLD_BLOOD_R2_STAR, Blood, Body, clot_relaxation, clot_tree, paint_clot
from adumbra.phantom.clot_views import SEEN, cropped, lost_signal, visible_flow
from adumbra.phantom.local.findings import Finding, changed_arteries
from adumbra.phantom.local.kept_head import KeptHead, echo_planar_options
from adumbra.phantom.pathology.perfusion import reroute
from adumbra.phantom.pathology.stroke import flow_shares
from adumbra.phantom.physics import inflow
from adumbra.phantom.physics.relaxation import TISSUES
from adumbra.phantom.physics.susceptibility import CHI_PPM, PROTON_MHZ_PER_T, bore_direction, relative_field
from adumbra.phantom.scanner import artefacts, sequences
from adumbra.phantom.scanner.acquisition import SliceSampler, Warp
from adumbra.phantom.scanner.artefacts import Receiver
from adumbra.phantom.vasculature.lumen import paint_vessels, vessel_fraction
from adumbra.phantom.vasculature.vessels import Tree, line_tree

MARGIN_MM = (12.0, 18.0, 12.0)
"""What is simulated beyond a patch: thick slices and filters of the phase reach 12 mm, distortion along y 18 mm."""
_AROUND_MM = 8.0  # slices that are acquired beyond a patch
_WIDEST_MM = 5.0  # radius of the widest vessel, or more
_SHADING = 0.15  # standard deviation of the log coil sensitivity
_OUTSIDE = ("soft", "vitreous")  # tissues outside the brain


@dataclass(frozen=True, eq=False)
class LocalExamination:
    """The images of a box, each on its own slices.

    Attributes:
        scans: The acquired scans in stored units, without those that do not reach the box.
        truths: The fraction of each voxel by name, on the slices of ``reference``: ``lumen`` (filled by clots),
            ``without flow`` (the part of it in which TOF would show flow), ``arteries`` (their lumen as if they were
            open and of normal width), ``flow`` (the lumen whose flow TOF shows), ``veins``, ``brain`` (tissue and
            fluid); with clots on SWI also ``lost``, the signal that they take away, over that of white matter.
        reference: The modality on whose slices the truths lie.
    """

    scans: Mapping[Modality, Scan]
    truths: Mapping[str, Scan]
    reference: Modality


@dataclass(frozen=True, eq=False)
class _Box:
    """A box of a head at the spacing of the simulation.

    Attributes:
        grid: Its grid.
        box: The voxels of the kept head that it covers.
        factor: How many voxels of the box lie along one of the kept head.
    """

    grid: Grid
    box: Box
    factor: int

    def read(self, head: KeptHead, *names: str) -> dict[str, Volume]:
        """Volumes of the kept head at the spacing of the box."""
        return {name: self.finer(part) for name, part in head.volumes.read_all(names, self.box).items()}

    def coarse(self, head: KeptHead) -> "_Box":
        """The same box at the spacing of the kept head."""
        first, shape = [s.start for s in self.box], [s.stop - s.start for s in self.box]
        return _Box(sub_grid(head.grid, first, shape), self.box, 1)

    def finer(self, part: np.ndarray) -> np.ndarray:
        """A volume of the kept head's voxels at the spacing of the box, linearly between their centres."""
        if self.factor == 1:
            return part
        offset = 0.5 / self.factor - 0.5
        return ndimage.affine_transform(
            part, [1 / self.factor] * 3, offset, self.grid.shape, np.float32, order=1, mode="nearest"
        )


def simulate_patch(
    head: KeptHead, finding: Finding, *, side_mm: float, factor: int = 1, rng: np.random.Generator | None = None
) -> LocalExamination:
    """Simulates the images of a cube around a finding.

    Args:
        head: The head.
        finding: The finding; the cube lies around its centre.
        side_mm: Side of the cube.
        factor: How many voxels of the simulation lie along one of the head; 2 at 1 mm paints the vessels at 0.5 mm.
        rng: Source of noise and coil sensitivity; None leaves both out.

    Raises:
        InputRejected: Neither SWI nor TOF has slices at the finding.
    """
    if not is_seen(head, finding):
        raise InputRejected(head.name, expected="SWI or TOF at the finding", found="neither", do="choose another one")
    part = _box_around(head, finding.centre_mm, side_mm / 2 + np.array(MARGIN_MM), factor)
    volumes = part.read(head, *head.volumes.names)
    vessels = _painted_vessels(head, finding, part, volumes["inside"])
    body, field, change = _local_body(head, finding, part, volumes, vessels)
    texture, setup = sequences.Texture(volumes["weight"], volumes["water"]), head.setup
    samplers = _samplers(head, part, finding.centre_mm, side_mm / 2 + _AROUND_MM)
    scans: dict[Modality, Scan] = {}
    if (sampler := samplers.get("swi")) is not None:
        echoes = sequences.gradient_echoes(body, texture, setup.gradient_echo, field, b0_tesla=setup.tesla)
        images = [sampler.sample(real) + 1j * sampler.sample(imaginary) for real, imaginary in echoes]
        scans |= _gradient_echo_scans(head, sampler, images, rng)
    if (sampler := samplers.get("tof")) is not None:
        signal = sequences.angiogram(
            part.grid, body, texture, setup.angiography, field, vessels.bright, b0_tesla=setup.tesla
        )
        scans["tof"] = _magnitude_scan(head, "tof", sampler, sampler.sample(signal), rng)
    if (sampler := samplers.get("dwi")) is not None:
        warped = replace(sampler, warp=_warp(head, volumes, part.grid, change))
        signal = sequences.diffusion(body, texture, setup.diffusion)["dwi"]
        scans["dwi"] = _magnitude_scan(head, "dwi", warped, warped.sample(signal), rng)
    reference = _reference(head, finding, samplers)
    scans = {name: scan for name, scan in scans.items() if name in setup.sequences}
    sampler = samplers[reference]
    fractions = {
        "lumen": vessels.blood.clot,
        "without flow": vessels.shown,
        "arteries": vessels.normal,
        "flow": np.minimum(vessels.visible, vessels.blood.arteries),
        "veins": vessels.blood.veins,
        "brain": np.minimum(sum(volumes[f"tissue {n}"] for n in head.tissue_names if n not in _OUTSIDE), 1),
    }
    sampled = {name: sampler.sample(volume) for name, volume in fractions.items()}
    if finding.clots and reference == "swi":
        lost = lost_signal(body, texture, setup.gradient_echo, field, change, sampler, b0_tesla=setup.tesla)
        sampled["lost"] = lost / np.float32(head.typical["swi"])
    truths = {name: scan_from_array(volume, sampler.grid.affine) for name, volume in sampled.items()}
    return LocalExamination(scans, truths, reference)


def is_seen(head: KeptHead, finding: Finding) -> bool:
    """Whether SWI or TOF has slices at the centre of a finding.

    Args:
        head: The head.
        finding: The finding.
    """
    names = [name for name in ("swi", "tof") if name in head.slices]
    return any(cropped(head.slices[n], head.grid, finding.centre_mm, finding.centre_mm) is not None for n in names)


def _reference(head: KeptHead, finding: Finding, samplers: Mapping[str, SliceSampler]) -> Modality:
    """SWI where the finding lies within its field of view, and otherwise TOF if it reaches the box."""
    if "swi" in samplers and head.slices["swi"].covers(finding.centre_mm[None]).all():
        return "swi"
    return "tof" if "tof" in samplers else "swi"


def _samplers(head: KeptHead, part: _Box, centre_mm: np.ndarray, reach_mm: float) -> dict[str, SliceSampler]:
    """The slices of each sequence within a distance of a point, without the sequences that do not reach it."""
    whole = {name: cropped(s, part.grid, centre_mm - reach_mm, centre_mm + reach_mm) for name, s in head.slices.items()}
    return {name: sampler[0] for name, sampler in whole.items() if sampler is not None}


@dataclass(frozen=True, eq=False)
class _Vessels:
    """The vessels of a box, painted.

    Attributes:
        blood: Their fractions with the finding.
        change_ppm: (X, Y, Z), the susceptibility with the finding minus that of the kept head.
        normal: (X, Y, Z), the arteries as if they were open and of normal width.
        bright: The present arteries with the signal of their blood on TOF, see ``sequences.paint_inflow``.
        visible: (X, Y, Z), the fraction filled by blood that is brighter on TOF than stationary blood.
        shown: (X, Y, Z), the part of the clots in which TOF would show flow.
    """

    blood: Blood
    change_ppm: Volume
    normal: Volume
    bright: tuple[Volume, Volume]
    visible: Volume
    shown: Volume


def _painted_vessels(head: KeptHead, finding: Finding, part: _Box, inside: Volume) -> _Vessels:
    """Paints the vessels of a box once."""
    grid, tree = part.grid, changed_arteries(head.arteries, finding)
    routed = reroute(tree, finding.clots)
    painted, bright, visible = _painted_inflow(head, finding, tree, routed, grid)
    share = painted if (routed.parent == tree.parent).all() else vessel_fraction(tree, grid, nodes=_near(tree, grid))
    normal = share
    if tree is not head.arteries:
        normal = vessel_fraction(head.arteries, grid, nodes=_near(head.arteries, grid))
    clot, clot_ppm = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    for one in finding.clots:
        fraction, chi = paint_clot(one, grid)
        clot, clot_ppm = np.maximum(clot, fraction), np.maximum(clot_ppm, chi)
    arteries = np.clip(share * inside - clot, 0, 1)
    veins, vein_ppm = paint_vessels(head.veins, grid, head.vein_chi, nodes=_near(head.veins, grid))
    room = _room(veins, arteries + clot, inside)
    red = float(np.mean([c.red for c in finding.clots])) if finding.clots else 0.0
    blood = Blood(arteries, veins * room, clot, red)
    kept_ppm = vein_ppm * _room(veins, np.clip(normal * inside, 0, 1), inside)
    if part.factor > 1:
        kept_ppm = part.finer(_kept_vein_ppm(head, part.coarse(head)))
    return _Vessels(
        blood,
        clot_ppm + vein_ppm * room - kept_ppm,
        normal * inside,
        (painted, bright),
        visible,
        _shown(head, finding, grid),
    )


def _painted_inflow(
    head: KeptHead, finding: Finding, tree: Tree, routed: Tree, grid: Grid
) -> tuple[Volume, Volume, Volume]:
    """The fraction inside arteries, and the same times the signal of the blood on TOF, and that of visible flow."""
    flow = flow_shares(tree, finding.clots, head.collaterals)
    if finding.flow_factor is not None:
        flow = flow * finding.flow_factor
    blood, protocol = TISSUES[head.setup.tesla]["arterial_blood"], head.setup.angiography
    bright = inflow.blood_signal(routed, protocol, blood, flow=flow)
    flowing = bright > SEEN * inflow.stationary_signal(blood, protocol, routed.points_mm[:, 2])
    share, amount, visible = paint_vessels(routed, grid, bright, flowing.astype(float), nodes=_near(routed, grid))
    return share, amount, visible


def _shown(head: KeptHead, finding: Finding, grid: Grid) -> Volume:
    """The part of the clots in which TOF would show flow; zero without TOF."""
    shown = np.zeros(grid.shape, np.float32)
    if not finding.clots or "tof" not in head.setup.sequences:
        return shown
    flowing = visible_flow(head.arteries, head.setup.angiography, b0_tesla=head.setup.tesla)
    for clot in finding.clots:
        shown = np.maximum(shown, vessel_fraction(clot_tree(clot), grid, nodes=flowing[clot.nodes]))
    return shown


def _room(veins: Volume, others: Volume, inside: Volume) -> Volume:
    """The share of the painted veins that fits beside the other vessels."""
    return np.clip((1 - others) / np.maximum(veins, 1e-6), 0, 1) * inside


def _kept_vein_ppm(head: KeptHead, part: "_Box") -> Volume:
    """The susceptibility of the veins of the kept head, at its own spacing."""
    inside, grid = part.read(head, "inside")["inside"], part.grid
    arteries = vessel_fraction(head.arteries, grid, nodes=_near(head.arteries, grid)) * inside
    veins, vein_ppm = paint_vessels(head.veins, grid, head.vein_chi, nodes=_near(head.veins, grid))
    return vein_ppm * _room(veins, np.clip(arteries, 0, 1), inside)


def _box_around(head: KeptHead, centre_mm: np.ndarray, reach_mm: np.ndarray, factor: int) -> _Box:
    """The voxels within a distance of a point along each axis, within the kept head."""
    middle = head.grid.index(centre_mm[None])[0]
    reach = np.ceil(reach_mm / np.array(head.grid.spacing_mm)).astype(int)
    low = np.maximum(np.floor(middle).astype(int) - reach, 0)
    high = np.minimum(np.floor(middle).astype(int) + reach + 1, head.grid.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    grid = sub_grid(head.grid, low.tolist(), (high - low).tolist())
    if factor > 1:
        affine = grid.affine.copy()
        affine[:3, :3] /= factor
        affine[:3, 3] = grid.world_mm(np.full(3, 0.5 / factor - 0.5))
        x, y, z = (factor * int(n) for n in high - low)
        grid = Grid((x, y, z), affine)
    return _Box(grid, (box[0], box[1], box[2]), factor)


def _near(tree: Tree, grid: Grid) -> np.ndarray:
    """The nodes whose stretch may meet a grid, (N,) bool."""
    at, reach = grid.index(tree.points_mm), _WIDEST_MM / np.array(grid.spacing_mm)
    inside = np.all((at > -reach) & (at < np.array(grid.shape) + reach), axis=1)
    return (inside | inside[tree.parent]) & (tree.parent >= 0)


def _local_body(
    head: KeptHead, finding: Finding, part: _Box, volumes: Mapping[str, Volume], vessels: _Vessels
) -> tuple[Body, Volume, Volume]:
    """The composition of a box, its field, and the change of the field by the finding, in ppm."""
    grid, inside, blood = part.grid, volumes["inside"], vessels.blood
    plaque = (
        _painted(
            [line_tree(p.points_mm, p.radius_mm) for p in finding.plaques], [p.density for p in finding.plaques], grid
        )
        * inside
    )
    bleeds = _balls(finding, grid) * inside
    chi = vessels.change_ppm + np.float32(CHI_PPM["calcification"]) * plaque + np.float32(OLD_BLOOD_PPM) * bleeds
    change = np.zeros_like(chi)
    if chi.any():
        change = relative_field(chi, grid.spacing_mm, b0_direction=bore_direction(grid))
    free = np.maximum(1 - blood.arteries - blood.veins - blood.clot, 0) * (1 - plaque)
    fractions = {n: volumes[f"tissue {n}"] * (free if n != "vitreous" else 1) for n in head.tissue_names}
    fractions |= {"artery": blood.arteries, "vein": blood.veins, "clot": blood.clot}
    tissues = dict(head.tissues) | {"clot": clot_relaxation(blood.red, b0_tesla=head.setup.tesla)}
    r2_star = volumes["extra_r2_star"] + np.float32(OLD_BLOOD_R2_STAR) * bleeds
    body = Body(fractions, tissues, volumes["extra_r2"], r2_star, None, None, blood)
    return body, volumes["field"] + change, change


def _painted(trees: list[Tree], values: list[float], grid: Grid) -> Volume:
    """The sum of the fractions of several trees, each times its value, at most 1."""
    total = np.zeros(grid.shape, np.float32)
    for tree, value in zip(trees, values, strict=True):
        total += np.float32(value) * vessel_fraction(tree, grid)
    return np.minimum(total, 1)


def _balls(finding: Finding, grid: Grid) -> Volume:
    """The fraction of each voxel within the balls of old blood."""
    total = np.zeros(grid.shape, np.float32)
    lines = [np.arange(n) for n in grid.shape]
    for centre_mm, radius_mm in finding.bleeds:
        at = grid.index(centre_mm[None])[0]
        squared = sum(
            np.expand_dims(((line - a) * h) ** 2, [c for c in range(3) if c != axis])
            for axis, (line, a, h) in enumerate(zip(lines, at, grid.spacing_mm, strict=True))
        )
        edge_mm = grid.spacing_mm[0]
        total = np.maximum(total, np.clip((radius_mm - np.sqrt(squared)) / edge_mm + 0.5, 0, 1))
    return total.astype(np.float32)


def _warp(head: KeptHead, volumes: Mapping[str, Volume], grid: Grid, change: Volume) -> Warp:
    """The distortion of the diffusion-weighted image with the field of the finding, which displaces tissue only."""
    hertz = np.where(volumes["inside"] > 0.5, change, 0) * np.float32(PROTON_MHZ_PER_T * head.setup.tesla)
    shift_mm = artefacts.echo_planar_shift_mm(hertz, **echo_planar_options(head.setup))
    slope = volumes["slope"] + np.gradient(shift_mm, grid.spacing_mm[1], axis=1)
    stacking = [np.clip(1 - s, 0.2, 4.0) for s in (slope, volumes["slope"])]
    return Warp(volumes["shift"] + shift_mm, volumes["stacking"] * (stacking[0] / stacking[1]))


def _gradient_echo_scans(
    head: KeptHead, sampler: SliceSampler, images: list[np.ndarray], rng: np.random.Generator | None
) -> dict[Modality, Scan]:
    """Magnitude and phase of the echoes."""
    if rng is not None:
        receiver = Receiver(head.noise["swi"], 0.0, _SHADING)
        coil = artefacts.sample_sensitivity(rng, sampler.grid, receiver)
        turn = np.complex64(np.exp(1j * rng.uniform(-np.pi, np.pi)))
        images = [artefacts.add_complex_noise(rng, image * coil * turn, receiver) for image in images]
    magnitude = np.mean([np.abs(image) for image in images], axis=0) * np.float32(head.units["swi"])
    affine = sampler.grid.affine
    phase = np.angle(images[-1]).astype(np.float32)
    return {"swi": scan_from_array(magnitude.astype(np.float32), affine), "phase": scan_from_array(phase, affine)}


def _magnitude_scan(
    head: KeptHead, name: str, sampler: SliceSampler, signal: np.ndarray, rng: np.random.Generator | None
) -> Scan:
    """The magnitude image of one sequence."""
    image = signal
    if rng is not None:
        receiver = Receiver(head.noise[name], 0.0, _SHADING)
        coil = artefacts.sample_sensitivity(rng, sampler.grid, receiver)
        averages = 3 if name == "dwi" else 1
        image = artefacts.magnitude_image(rng, signal * coil, receiver, averages=averages)
    return scan_from_array((image * np.float32(head.units[name])).astype(np.float32), sampler.grid.affine)
