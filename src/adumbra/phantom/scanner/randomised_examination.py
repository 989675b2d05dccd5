"""Randomised examinations of DWI, ADC, b0 and FLAIR: any contrast, with artefacts or, in a part of the cases, without.

Beyond ``examination``: fine in-plane voxels are interpolated from a coarser acquisition, so that their noise is
correlated; coils have hot spots; images have margins of exact zeros.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace

import numpy as np
from scipy import ndimage

from adumbra.core.case import Scan, scan_from_array
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Modality, Volume
from adumbra.phantom.pathology.lesion import Stage
from adumbra.phantom.physics import signal
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner import artefacts, sequences
from adumbra.phantom.scanner.acquisition import SliceSampler, Warp
from adumbra.phantom.scanner.artefacts import Receiver
from adumbra.phantom.scanner.examination import (
    Acquisition,
    ExaminedPatient,
    sample_skull_strip_mask,
    sampler_of,
    white_matter_signal,
)
from adumbra.phantom.scanner.mixture import NoiseFreeImages, sample_clustered_texture, sample_random_contrast
from adumbra.phantom.scanner.randomised_setup import ExaminationQuality
from adumbra.phantom.scanner.setup import ScannerSetup

_DIRECTIONS = 3  # directions of diffusion weighting, whose images are averaged
_ACQUIRED_MM = 1.7  # finer voxels are interpolated
_CLEAN_SHADING = 0.06  # standard deviation of the log coil sensitivity without artefacts


def examine(
    patient: ExaminedPatient, setup: ScannerSetup, quality: ExaminationQuality, stage: Stage
) -> tuple[dict[str, Acquisition], float]:
    """A randomised examination.

    Args:
        patient: The patient.
        setup: The scanner.
        quality: Contrast and quality.
        stage: Age of the infarct.

    Returns:
        The acquisitions by the name of their slice stack, and the signal of the infarct over that of normal tissue on
        the DWI.
    """
    images = noise_free_images(patient, setup, quality, stage)
    acquired = {"dwi": _acquire_diffusion(patient, setup, images, clean=quality.clean)}
    if "flair" in setup.sequences:
        acquired["flair"] = _acquire_flair(patient, setup, images.flair, clean=quality.clean)
    return acquired, images.infarct_contrast


def noise_free_images(
    patient: ExaminedPatient, setup: ScannerSetup, quality: ExaminationQuality, stage: Stage
) -> NoiseFreeImages:
    """The noise-free images of an examination, by the kind of its contrast.

    Args:
        patient: The patient.
        setup: The scanner.
        quality: Gives the kind of contrast.
        stage: Age of the infarct.
    """
    rng, protocol = stream(patient.seed, "contrast"), setup.diffusion
    if quality.contrast == "mixture":
        return sample_random_contrast(rng, patient.head, patient.body, stage=stage, b_value=protocol.b_value)
    texture = patient.texture
    if quality.contrast == "clustered":
        texture = sample_clustered_texture(rng, patient.head, texture)
    echo = sequences.diffusion(patient.body, texture, protocol)
    flair = sequences.flair(patient.head.grid, patient.body, texture, protocol, None, None)
    contrast = signal.diffusion_contrast(protocol, adc=stage.adc_factor, t2=stage.t2_factor)
    return NoiseFreeImages(echo["dwi"], echo["b0"], flair, contrast)


def _acquire_diffusion(
    patient: ExaminedPatient, setup: ScannerSetup, images: NoiseFreeImages, *, clean: bool
) -> Acquisition:
    """Acquires ``dwi``, and those of ``adc`` and ``b0`` that the examination has."""
    rng = stream(patient.seed, "diffusion")
    plain, weighted = _sample_warps(rng, patient, clean=clean)
    samplers = {"b0": sampler_of(patient, setup, "dwi", plain), "dwi": sampler_of(patient, setup, "dwi", weighted)}
    grid, typical = samplers["dwi"].grid, white_matter_signal(patient, images.dwi)
    receiver = _sample_receiver(rng, setup.snr["dwi"], typical, clean=clean)
    gain = _sample_gain(rng, grid, receiver, clean=clean)
    if not clean:
        gain *= artefacts.sample_slice_gain(rng, grid.shape[2])
    retained = sample_skull_strip_mask(rng, patient, samplers["b0"])
    stripped = not retained.all()
    retained &= _sample_margin(rng, patient, samplers["dwi"])
    units, floor = np.float32(rng.uniform(150, 900) / typical), rng.uniform(3, 8) * (rng.random() < 0.7)
    dwi = _acquired(rng, samplers["dwi"].sample(images.dwi) * gain, receiver, grid, averages=_DIRECTIONS)
    scans: dict[Modality, Scan] = {
        "dwi": scan_from_array(np.rint(dwi * units) * retained, grid.affine, b_value=setup.diffusion.b_value)
    }
    baseline: Volume | None = None
    if "adc" in setup.sequences:
        baseline = _acquired(rng, samplers["b0"].sample(images.b0) * gain, receiver, grid)
        adc = np.clip(signal.adc_fit(baseline, dwi, b_value=setup.diffusion.b_value), -0.4, 4.0)
        adc *= baseline > floor * receiver.noise  # most scanners set the map to 0 where there is no signal
        scans["adc"] = scan_from_array(adc * retained, grid.affine)
    if "b0" in setup.sequences:
        if baseline is None:
            baseline = _acquired(rng, samplers["b0"].sample(images.b0) * gain, receiver, grid)
        scans["b0"] = scan_from_array(np.rint(baseline * units) * retained, grid.affine, b_value=0.0)
    parameters: Mapping[str, object] = {"receiver": asdict(receiver), "stripped": stripped}
    noise = receiver.noise / typical / _DIRECTIONS**0.5
    return Acquisition(scans, samplers["dwi"], parameters, noise, retained)


def _acquire_flair(patient: ExaminedPatient, setup: ScannerSetup, flair: Volume, *, clean: bool) -> Acquisition:
    """Acquires ``flair``."""
    rng, sampler = stream(patient.seed, "flair"), sampler_of(patient, setup, "flair")
    typical = white_matter_signal(patient, flair)
    receiver = _sample_receiver(rng, setup.snr["flair"], typical, clean=clean)
    clear = sampler.sample(flair) * _sample_gain(rng, sampler.grid, receiver, clean=clean)
    image = _acquired(rng, clear, receiver, sampler.grid)
    retained = sample_skull_strip_mask(rng, patient, sampler) & _sample_margin(rng, patient, sampler)
    stored = np.rint(image * np.float32(rng.uniform(150, 900) / typical)) * retained
    scans: dict[Modality, Scan] = {"flair": scan_from_array(stored, sampler.grid.affine)}
    return Acquisition(scans, sampler, {"receiver": asdict(receiver)}, receiver.noise / typical, retained)


def _sample_warps(rng: np.random.Generator, patient: ExaminedPatient, *, clean: bool) -> tuple[Warp, Warp]:
    """Samples the distortion of b0 and of DWI; a clean examination has a third of it and no pile-up."""
    head = patient.head
    shift_mm = artefacts.sample_shift_mm(rng, head)
    if clean:
        shift_mm = shift_mm * np.float32(0.3)
        stacking = np.clip(1 - np.gradient(shift_mm, head.grid.spacing_mm[1], axis=1), 0.2, 4.0)
        warp = Warp(shift_mm, stacking.astype(np.float32))
        return warp, warp
    plain = artefacts.sample_warp(rng, head, shift_mm)
    return plain, artefacts.add_eddy_currents(rng, plain, head)


def _sample_receiver(rng: np.random.Generator, snr: float, typical: float, *, clean: bool) -> Receiver:
    """Samples a receiver; a clean one has no ghost and little shading."""
    receiver = artefacts.sample_receiver(rng, snr=snr, signal=typical)
    return replace(receiver, ghost=0.0, shading=min(receiver.shading, _CLEAN_SHADING)) if clean else receiver


def _sample_gain(rng: np.random.Generator, grid: Grid, receiver: Receiver, *, clean: bool) -> Volume:
    """Samples the sensitivity of the coils, with a hot spot in a quarter of the cases that are not clean."""
    gain = artefacts.sample_sensitivity(rng, grid, receiver)
    if clean or rng.random() > 0.25:
        return gain
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    centre = (0.5 + 0.45 * direction) * np.array(grid.shape)
    width = rng.uniform(20, 45) / np.array(grid.spacing_mm)
    lines = [
        np.exp(-(((np.arange(n, dtype=np.float32) - c) / w) ** 2) / 2)
        for n, c, w in zip(grid.shape, centre, width, strict=True)
    ]
    spot = lines[0][:, None, None] * lines[1][None, :, None] * lines[2][None, None, :]
    return gain * (1 + np.float32(rng.uniform(0.2, 0.9)) * spot.astype(np.float32))


def _sample_margin(rng: np.random.Generator, patient: ExaminedPatient, sampler: SliceSampler) -> np.ndarray:
    """Samples margins of exact zeros beside the brain, (X, Y, slices) bool, False in the margins; none in half."""
    inside = np.ones(sampler.grid.shape, bool)
    if rng.random() < 0.5:
        return inside
    places = np.argwhere(patient.head.depth_mm[::3, ::3, ::3] < 2)
    if not len(places):
        return inside
    index = sampler.grid.index(patient.head.grid.world_mm(3 * places))
    share = rng.uniform(0, 0.8)
    for axis, count in enumerate(sampler.grid.shape):
        low, high = index[:, axis].min() - 4, index[:, axis].max() + 4
        ends = [slice(0, max(0, int(share * low))), slice(min(count, int(count - share * (count - high))), count)]
        for end in ends:
            inside[(slice(None),) * axis + (end,)] = False
    return inside


def _acquired(rng: np.random.Generator, volume: Volume, receiver: Receiver, grid: Grid, *, averages: int = 1) -> Volume:
    """Samples the magnitude image; the noise of interpolated voxels is correlated in plane."""
    finer = _ACQUIRED_MM / grid.spacing_mm[0]
    if finer <= 1.05:
        return artefacts.magnitude_image(rng, volume, receiver, averages=averages)
    ghosted = volume + np.float32(receiver.ghost) * np.roll(volume, volume.shape[1] // 2, axis=1)
    sigma, blur = receiver.noise / np.sqrt(averages), 0.45 * np.sqrt(finer**2 - 1)
    channels = []
    for _ in range(2):
        noise = rng.standard_normal(volume.shape, dtype=np.float32)
        for axis in (0, 1):
            noise = ndimage.gaussian_filter1d(noise, blur, axis=axis, truncate=3.0)
        channels.append(noise * np.float32(sigma / max(float(noise[::4, ::4, ::4].std()), 1e-6)))
    return np.hypot(ghosted + channels[0], channels[1])
