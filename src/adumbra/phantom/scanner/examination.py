"""One body, examined: every sequence as the scanner gives it, each on its own slices, and the truth as it lies there.

Between sequences the head moves. Echo-planar images are warped by the field that also makes the phase of the gradient
echoes. Each sequence draws from a stream of its own: leaving one out changes no other.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from adumbra.core.case import Scan, scan_from
from adumbra.core.types import Modality, Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.body import Body
from adumbra.phantom.physics import signal
from adumbra.phantom.physics.susceptibility import PROTON_MHZ_PER_T
from adumbra.phantom.presets import Setup
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner import artefacts, sequences
from adumbra.phantom.scanner.acquisition import Sampler, Warp, movement
from adumbra.phantom.vasculature.vessels import Tree

_DIRECTIONS = 3  # of diffusion weighting, whose images are averaged


@dataclass(frozen=True, eq=False)
class Acquired:
    """What one sequence gives.

    Attributes:
        scans: In the house's units.
        sampler: How this sequence saw the head; truth is brought to its slices by it.
        drawn: On the way, JSON-serialisable.
        noise: Standard deviation of the noise over the signal of normal white matter, of the first of ``scans``.
        seen: Where a tool that strips the skull has left the image, on its grid.
    """

    scans: Mapping[Modality, Scan]
    sampler: Sampler
    drawn: Mapping[str, object]
    noise: float
    seen: np.ndarray


@dataclass(frozen=True, eq=False)
class ExaminedPatient:
    """Who is examined: all that the sequences need to know.

    Attributes:
        seed: Of the case; every sequence draws from a stream of its own.
        head: The anatomy.
        body: The anatomy as matter.
        texture: Of the tissue.
        arteries: In the head's millimetres; None where no vessels are drawn.
        flow: (N,), share of the normal flow at each of their nodes.
        field_ppm: Shimmed; None where none was computed.
    """

    seed: int
    head: Head
    body: Body
    texture: sequences.Texture
    arteries: Tree | None
    flow: np.ndarray | None
    field_ppm: Volume | None


def _sampler(who: ExaminedPatient, setup: Setup, name: str, warp: Warp | None = None) -> Sampler:
    grid = who.head.grid
    centre = grid.world_mm((np.array(grid.shape) - 1) / 2)
    # The head is drawn as it lay during diffusion imaging.
    strength = 0.0 if name == "dwi" else setup.movement
    moved = movement(stream(who.seed, f"movement {name}"), centre_mm=centre, strength=strength)
    return Sampler(grid, setup.stacks[name], moved, warp)


def _typical(who: ExaminedPatient, volume: Volume) -> float:
    """The signal of normal white matter."""
    inside = volume[(who.head.white > 0.8) & (volume > 0)]
    return float(np.median(inside)) if len(inside) else 1.0


def _stripped(rng: np.random.Generator, who: ExaminedPatient, sampler: Sampler) -> np.ndarray:
    """What a skull-stripping tool leaves, on the slices: the brain to some millimetres, ragged; or everything."""
    if rng.random() < 0.45:
        return np.ones(sampler.grid.shape, bool)
    grid = who.head.grid
    ragged = rng.uniform(0.3, 1.8) * smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=14)
    kept = (who.head.depth_mm + ragged < rng.uniform(-0.5, 3.0)).astype(np.float32)
    return sampler.of(kept, stacks=False, blur=False) > 0.5


def diffusion(who: ExaminedPatient, setup: Setup) -> Acquired:
    """``dwi``, ``adc`` and ``b0``, by echo-planar imaging."""
    rng, head, p = stream(who.seed, "diffusion"), who.head, setup.diffusion
    made = sequences.diffusion(who.body, who.texture, p)
    in_plane_mm = setup.stacks["dwi"].in_plane_mm
    if who.field_ppm is None:
        shift_mm = artefacts.sample_shift_mm(rng, head)
    else:
        hertz = artefacts.within_signal(who.field_ppm, head) * np.float32(PROTON_MHZ_PER_T * setup.tesla)
        shift_mm = artefacts.echo_planar_shift_mm(
            hertz, readout_s=setup.readout_s, in_plane_mm=in_plane_mm, polarity=setup.polarity
        )
    plain = artefacts.warp(rng, head, shift_mm)
    samplers = {"b0": _sampler(who, setup, "dwi", plain)}
    samplers["dwi"] = _sampler(who, setup, "dwi", artefacts.eddy_currents(rng, plain, head))
    typical = {n: _typical(who, v) for n, v in made.items()}
    receiver = artefacts.sample_receiver(rng, snr=setup.snr["dwi"], signal=typical["dwi"])
    grid = samplers["dwi"].grid
    gain = artefacts.shading(rng, grid, receiver) * artefacts.edge_slices(rng, grid.shape[2])
    seen = _stripped(rng, who, samplers["b0"])
    b0 = artefacts.received(rng, samplers["b0"].of(made["b0"]) * gain, receiver)
    dwi = artefacts.received(rng, samplers["dwi"].of(made["dwi"]) * gain, receiver, averages=_DIRECTIONS)
    adc = np.clip(signal.adc_fit(b0, dwi, b_value=p.b_value), -0.4, 4.0)
    if rng.random() < 0.7:  # most scanners blank the map where there is no signal
        adc = adc * (b0 > rng.uniform(3, 8) * receiver.noise)
    units = np.float32(rng.uniform(150, 900) / typical["dwi"])
    scans: dict[Modality, Scan] = {
        "dwi": scan_from(np.rint(dwi * units) * seen, grid.affine, b_value=p.b_value),
        "adc": scan_from(adc * seen, grid.affine),
        "b0": scan_from(np.rint(b0 * units) * seen, grid.affine, b_value=0.0),
    }
    drawn = {"receiver": asdict(receiver), "stripped": bool(not seen.all())}
    noise = receiver.noise / typical["dwi"] / _DIRECTIONS**0.5
    return Acquired(scans, samplers["dwi"], drawn, noise, seen)


def fluid_attenuated(who: ExaminedPatient, setup: Setup) -> Acquired:
    """``flair``."""
    rng = stream(who.seed, "flair")
    made = sequences.flair(who.head, who.body, who.texture, setup.diffusion, who.arteries, who.flow)
    sampler, typical = _sampler(who, setup, "flair"), _typical(who, made)
    receiver = artefacts.sample_receiver(rng, snr=setup.snr["flair"], signal=typical)
    clean = sampler.of(made) * artefacts.shading(rng, sampler.grid, receiver)
    image = artefacts.received(rng, clean, receiver)
    seen = _stripped(rng, who, sampler)
    stored = np.rint(image * np.float32(rng.uniform(150, 900) / typical)) * seen
    scans: dict[Modality, Scan] = {"flair": scan_from(stored, sampler.grid.affine)}
    return Acquired(scans, sampler, {"receiver": asdict(receiver)}, receiver.noise / typical, seen)


def gradient_echo(who: ExaminedPatient, setup: Setup) -> Acquired:
    """``swi``, the mean magnitude of the echoes, and ``phase``, of the last of them, wrapped, in radians."""
    assert who.field_ppm is not None
    rng, p = stream(who.seed, "gradient echo"), setup.gradient_echo
    sampler = _sampler(who, setup, "swi")
    seen_signal, typical = [], 0.0
    for real, imaginary in sequences.gradient_echoes(who.body, who.texture, p, who.field_ppm, b0_tesla=setup.tesla):
        typical = _typical(who, np.hypot(real, imaginary))  # of the last echo, whose phase must be seen
        seen_signal.append(sampler.of(real) + 1j * sampler.of(imaginary))
    receiver = artefacts.sample_receiver(rng, snr=setup.snr["swi"], signal=typical)
    coil = artefacts.shading(rng, sampler.grid, receiver)
    offset = _receiver_phase(rng, sampler)
    images = [artefacts.with_noise(rng, s * coil * offset, receiver) for s in seen_signal]
    magnitude = np.mean([np.abs(i) for i in images], axis=0)
    phase = np.angle(images[-1]).astype(np.float32)
    # Filtering is prepare's; a scanner stores what it has measured.
    stored = np.rint(magnitude * np.float32(rng.uniform(150, 900) / typical)).astype(np.float32)
    affine = sampler.grid.affine
    scans: dict[Modality, Scan] = {"swi": scan_from(stored, affine), "phase": scan_from(phase, affine)}
    everything = np.ones(sampler.grid.shape, bool)
    return Acquired(scans, sampler, {"receiver": asdict(receiver)}, receiver.noise / typical, everything)


def _receiver_phase(rng: np.random.Generator, sampler: Sampler) -> np.ndarray:
    """The phase that coils and a shifted echo add: a constant, a slope of some turns, and a slow variation."""
    grid = sampler.grid
    turn = np.float32(rng.uniform(-np.pi, np.pi)) + 0.8 * smooth_field(
        rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=90
    )
    for axis, slope in enumerate(rng.normal(0, [0.6, 2.0, 1.0])):
        line = np.linspace(-1, 1, grid.shape[axis], dtype=np.float32)
        turn = turn + np.float32(slope) * np.expand_dims(line, [c for c in range(3) if c != axis])
    return np.asarray(np.exp(1j * turn), np.complex64)


def time_of_flight(who: ExaminedPatient, setup: Setup) -> Acquired:
    """``tof``."""
    assert who.field_ppm is not None
    assert who.arteries is not None
    assert who.flow is not None
    rng, p = stream(who.seed, "time of flight"), setup.angiography
    sampler = _sampler(who, setup, "tof")
    made = sequences.angiogram(
        who.head, who.body, who.texture, p, who.field_ppm, who.arteries, who.flow, b0_tesla=setup.tesla
    )
    typical = _typical(who, made)
    receiver = artefacts.sample_receiver(rng, snr=setup.snr["tof"], signal=typical)
    image = artefacts.received(rng, sampler.of(made) * artefacts.shading(rng, sampler.grid, receiver), receiver)
    stored = np.rint(image * np.float32(rng.uniform(80, 300) / typical))
    scans: dict[Modality, Scan] = {"tof": scan_from(stored, sampler.grid.affine)}
    everything = np.ones(sampler.grid.shape, bool)
    return Acquired(scans, sampler, {"receiver": asdict(receiver)}, receiver.noise / typical, everything)


SEQUENCES: Mapping[str, tuple[tuple[Modality, ...], Callable[[ExaminedPatient, Setup], Acquired]]] = {
    "dwi": (("dwi", "adc", "b0"), diffusion),
    "flair": (("flair",), fluid_attenuated),
    "swi": (("swi", "phase"), gradient_echo),
    "tof": (("tof",), time_of_flight),
}
"""What is acquired together, by the name of its slices: the modalities, and how."""
