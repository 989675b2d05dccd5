"""The examination of a patient: every sequence on its own slices, as the scanner delivers it.

The head moves between sequences. The field that distorts echo-planar images also gives the phase of the gradient
echoes. Each sequence has its own random stream, so that leaving one out changes no other.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from adumbra.core.case import Scan, scan_from_array
from adumbra.core.types import Modality, Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.body import Body
from adumbra.phantom.physics import signal
from adumbra.phantom.physics.susceptibility import PROTON_MHZ_PER_T
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner import artefacts, sequences
from adumbra.phantom.scanner.acquisition import SliceSampler, Warp, sample_movement
from adumbra.phantom.scanner.setup import ScannerSetup
from adumbra.phantom.vasculature.vessels import Tree

_DIRECTIONS = 3  # directions of diffusion weighting, whose images are averaged


@dataclass(frozen=True, eq=False)
class Acquisition:
    """The result of one sequence.

    Attributes:
        scans: The acquired scans, in the units of the project.
        sampler: The slices with movement and distortion, which also bring ground truth into this geometry.
        parameters: Sampled parameters of the acquisition, JSON-serialisable.
        noise: Standard deviation of the noise over the signal of normal white matter, for the first of ``scans``.
        retained: (X, Y, slices) bool, the voxels that skull stripping retains; all of them without skull stripping.
        units: The stored value of a signal of 1, for the first of ``scans``.
        typical: The signal of normal white matter, for the first of ``scans``.
    """

    scans: Mapping[Modality, Scan]
    sampler: SliceSampler
    parameters: Mapping[str, object]
    noise: float
    retained: np.ndarray
    units: float = 1.0
    typical: float = 1.0


@dataclass(frozen=True, eq=False)
class ExaminedPatient:
    """The input of the sequences.

    Attributes:
        seed: Seed of the case, from which every sequence has its own stream.
        head: The anatomy.
        body: Tissue fractions, relaxation constants and vessels.
        texture: Spatial variation of the tissue.
        arteries: Arteries in millimetres of the head; None where no vessels were grown.
        flow: (N,), share of the normal flow at each node of the arteries; None without vessels.
        field_ppm: (X, Y, Z), the shimmed relative field in ppm; None where none was computed.
    """

    seed: int
    head: Head
    body: Body
    texture: sequences.Texture
    arteries: Tree | None
    flow: np.ndarray | None
    field_ppm: Volume | None


def sampler_of(patient: ExaminedPatient, setup: ScannerSetup, name: str, warp: Warp | None = None) -> SliceSampler:
    """The slices of a sequence after a random movement of the head; its position in diffusion imaging is the origin.

    Args:
        patient: Gives the grid of the head, and the stream of the movement.
        setup: The scanner.
        name: Name of the slice stack.
        warp: Distortion of echo-planar imaging; None for undistorted images.
    """
    grid = patient.head.grid
    centre = grid.world_mm((np.array(grid.shape) - 1) / 2)
    strength = 0.0 if name == "dwi" else setup.movement
    moved = sample_movement(stream(patient.seed, f"movement {name}"), centre_mm=centre, strength=strength)
    return SliceSampler(grid, setup.stacks[name], moved, warp)


def white_matter_signal(patient: ExaminedPatient, volume: Volume) -> float:
    """The median signal of normal white matter; 1 where there is none.

    Args:
        patient: Gives the anatomy.
        volume: (X, Y, Z), the signal on the grid of the head.
    """
    inside = volume[(patient.head.white > 0.8) & (volume > 0)]
    return float(np.median(inside)) if len(inside) else 1.0


def sample_skull_strip_mask(rng: np.random.Generator, patient: ExaminedPatient, sampler: SliceSampler) -> np.ndarray:
    """Samples the voxels of the slices that skull stripping retains, with an irregular border; or all voxels.

    Args:
        rng: Source of every random choice.
        patient: Gives the anatomy.
        sampler: The slices.
    """
    if rng.random() < 0.45:
        return np.ones(sampler.grid.shape, bool)
    grid = patient.head.grid
    irregular = rng.uniform(0.3, 1.8) * smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=14)
    brain = (patient.head.depth_mm + irregular < rng.uniform(-0.5, 3.0)).astype(np.float32)
    return sampler.sample(brain, stacks=False, blur=False) > 0.5


def acquire_diffusion(patient: ExaminedPatient, setup: ScannerSetup) -> Acquisition:
    """Acquires ``dwi``, ``adc`` and ``b0`` by echo-planar imaging.

    Args:
        patient: The patient.
        setup: The scanner.
    """
    rng, head, p = stream(patient.seed, "diffusion"), patient.head, setup.diffusion
    signals = sequences.diffusion(patient.body, patient.texture, p)
    in_plane_mm = setup.stacks["dwi"].in_plane_mm
    if patient.field_ppm is None:
        shift_mm = artefacts.sample_shift_mm(rng, head)
    else:
        hertz = artefacts.extend_beyond_signal(patient.field_ppm, head) * np.float32(PROTON_MHZ_PER_T * setup.tesla)
        shift_mm = artefacts.echo_planar_shift_mm(
            hertz, readout_s=setup.readout_s, in_plane_mm=in_plane_mm, polarity=setup.polarity
        )
    plain = artefacts.sample_warp(rng, head, shift_mm)
    samplers = {"b0": sampler_of(patient, setup, "dwi", plain)}
    samplers["dwi"] = sampler_of(patient, setup, "dwi", artefacts.add_eddy_currents(rng, plain, head))
    typical = {n: white_matter_signal(patient, v) for n, v in signals.items()}
    receiver = artefacts.sample_receiver(rng, snr=setup.snr["dwi"], signal=typical["dwi"])
    grid = samplers["dwi"].grid
    gain = artefacts.sample_sensitivity(rng, grid, receiver) * artefacts.sample_slice_gain(rng, grid.shape[2])
    retained = sample_skull_strip_mask(rng, patient, samplers["b0"])
    b0 = artefacts.magnitude_image(rng, samplers["b0"].sample(signals["b0"]) * gain, receiver)
    dwi = artefacts.magnitude_image(rng, samplers["dwi"].sample(signals["dwi"]) * gain, receiver, averages=_DIRECTIONS)
    adc = np.clip(signal.adc_fit(b0, dwi, b_value=p.b_value), -0.4, 4.0)
    if rng.random() < 0.7:  # most scanners set the map to 0 where there is no signal
        adc = adc * (b0 > rng.uniform(3, 8) * receiver.noise)
    units = np.float32(rng.uniform(150, 900) / typical["dwi"])
    scans: dict[Modality, Scan] = {
        "dwi": scan_from_array(np.rint(dwi * units) * retained, grid.affine, b_value=p.b_value),
        "adc": scan_from_array(adc * retained, grid.affine),
        "b0": scan_from_array(np.rint(b0 * units) * retained, grid.affine, b_value=0.0),
    }
    parameters = {"receiver": asdict(receiver), "stripped": bool(not retained.all())}
    noise = receiver.noise / typical["dwi"] / _DIRECTIONS**0.5
    return Acquisition(scans, samplers["dwi"], parameters, noise, retained, float(units), typical["dwi"])


def acquire_flair(patient: ExaminedPatient, setup: ScannerSetup) -> Acquisition:
    """Acquires ``flair``.

    Args:
        patient: The patient.
        setup: The scanner.
    """
    rng = stream(patient.seed, "flair")
    signals = sequences.flair(
        patient.head.grid, patient.body, patient.texture, setup.diffusion, patient.arteries, patient.flow
    )
    sampler, typical = sampler_of(patient, setup, "flair"), white_matter_signal(patient, signals)
    receiver = artefacts.sample_receiver(rng, snr=setup.snr["flair"], signal=typical)
    clean = sampler.sample(signals) * artefacts.sample_sensitivity(rng, sampler.grid, receiver)
    image = artefacts.magnitude_image(rng, clean, receiver)
    retained = sample_skull_strip_mask(rng, patient, sampler)
    stored = np.rint(image * np.float32(rng.uniform(150, 900) / typical)) * retained
    scans: dict[Modality, Scan] = {"flair": scan_from_array(stored, sampler.grid.affine)}
    return Acquisition(scans, sampler, {"receiver": asdict(receiver)}, receiver.noise / typical, retained)


def acquire_gradient_echo(patient: ExaminedPatient, setup: ScannerSetup) -> Acquisition:
    """Acquires ``swi``, the mean magnitude of the echoes, and ``phase``, the wrapped phase of the last echo in radians.

    Args:
        patient: The patient.
        setup: The scanner.
    """
    assert patient.field_ppm is not None
    rng, p = stream(patient.seed, "gradient echo"), setup.gradient_echo
    sampler = sampler_of(patient, setup, "swi")
    echoes, typical = [], 0.0
    for real, imaginary in sequences.gradient_echoes(
        patient.body, patient.texture, p, patient.field_ppm, b0_tesla=setup.tesla
    ):
        typical = white_matter_signal(patient, np.hypot(real, imaginary))  # the last echo counts, whose phase is stored
        echoes.append(sampler.sample(real) + 1j * sampler.sample(imaginary))
    receiver = artefacts.sample_receiver(rng, snr=setup.snr["swi"], signal=typical)
    coil = artefacts.sample_sensitivity(rng, sampler.grid, receiver)
    offset = _sample_receiver_phase(rng, sampler)
    images = [artefacts.add_complex_noise(rng, s * coil * offset, receiver) for s in echoes]
    magnitude = np.mean([np.abs(i) for i in images], axis=0)
    phase = np.angle(images[-1]).astype(np.float32)
    # The stored phase is not filtered; preprocessing does that.
    units = np.float32(rng.uniform(150, 900) / typical)
    stored = np.rint(magnitude * units).astype(np.float32)
    affine = sampler.grid.affine
    scans: dict[Modality, Scan] = {"swi": scan_from_array(stored, affine), "phase": scan_from_array(phase, affine)}
    all_voxels, parameters = np.ones(sampler.grid.shape, bool), {"receiver": asdict(receiver)}
    return Acquisition(scans, sampler, parameters, receiver.noise / typical, all_voxels, float(units), typical)


def _sample_receiver_phase(rng: np.random.Generator, sampler: SliceSampler) -> np.ndarray:
    """Samples the phase factor of coils and echo shift: a constant, a slope of some turns, and a slow variation."""
    grid = sampler.grid
    turn = np.float32(rng.uniform(-np.pi, np.pi)) + 0.8 * smooth_field(
        rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=90
    )
    for axis, slope in enumerate(rng.normal(0, [0.6, 2.0, 1.0])):
        line = np.linspace(-1, 1, grid.shape[axis], dtype=np.float32)
        turn = turn + np.float32(slope) * np.expand_dims(line, [c for c in range(3) if c != axis])
    return np.asarray(np.exp(1j * turn), np.complex64)


def acquire_time_of_flight(patient: ExaminedPatient, setup: ScannerSetup) -> Acquisition:
    """Acquires ``tof``.

    Args:
        patient: The patient.
        setup: The scanner.
    """
    assert patient.field_ppm is not None
    assert patient.arteries is not None
    assert patient.flow is not None
    rng, p = stream(patient.seed, "time of flight"), setup.angiography
    sampler = sampler_of(patient, setup, "tof")
    grid = patient.head.grid
    painted = sequences.paint_inflow(grid, p, patient.arteries, patient.flow, b0_tesla=setup.tesla)
    signals = sequences.angiogram(
        grid, patient.body, patient.texture, p, patient.field_ppm, painted, b0_tesla=setup.tesla
    )
    typical = white_matter_signal(patient, signals)
    receiver = artefacts.sample_receiver(rng, snr=setup.snr["tof"], signal=typical)
    image = artefacts.magnitude_image(
        rng, sampler.sample(signals) * artefacts.sample_sensitivity(rng, sampler.grid, receiver), receiver
    )
    units = np.float32(rng.uniform(80, 300) / typical)
    stored = np.rint(image * units)
    scans: dict[Modality, Scan] = {"tof": scan_from_array(stored, sampler.grid.affine)}
    all_voxels, parameters = np.ones(sampler.grid.shape, bool), {"receiver": asdict(receiver)}
    return Acquisition(scans, sampler, parameters, receiver.noise / typical, all_voxels, float(units), typical)


SEQUENCES: Mapping[str, tuple[tuple[Modality, ...], Callable[[ExaminedPatient, ScannerSetup], Acquisition]]] = {
    "dwi": (("dwi", "adc", "b0"), acquire_diffusion),
    "flair": (("flair",), acquire_flair),
    "swi": (("swi", "phase"), acquire_gradient_echo),
    "tof": (("tof",), acquire_time_of_flight),
}
"""The modalities that are acquired together and the function that acquires them, by the name of their slice stack."""
