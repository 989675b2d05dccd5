"""Random contrasts: a Gaussian mixture over clusters of tissue, in place of the signal equations.

Each cluster of each tissue has a random mean in each sequence, and varies around it. The order of tissues is free, so
that a network cannot rely on it. What defines an acute infarct is kept: on DWI it is brighter than the tissue that it
replaces, its ADC follows its age, and its contrast fades in places. The image at b = 0 is
S(b)·exp(b·ADC), so that the three images of diffusion fit each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.core.references import cites
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.clusters import Clusters, sample_clusters
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.body import Body
from adumbra.phantom.pathology.lesion import Stage
from adumbra.phantom.scanner.sequences import Texture

_BRAIN = ("grey", "white")
_OTHER = ("csf", "vitreous", "soft")
_BRIGHTEST_FLUID = 8.0  # of the b = 0 image over white matter; longer T2 would be invisible beyond it
_LEAST_CONTRAST, _GREATEST_CONTRAST = 1.35, 3.0


@dataclass(frozen=True, eq=False)
class NoiseFreeImages:
    """Noise-free images of a patient on the grid of the head.

    Attributes:
        dwi: (X, Y, Z), the diffusion-weighted image.
        b0: (X, Y, Z), the image at b = 0; the ADC is fitted from it and the DWI.
        flair: (X, Y, Z), FLAIR.
        infarct_contrast: Signal of the infarct over that of the tissue that it replaces, on DWI, without fading.
    """

    dwi: Volume
    b0: Volume
    flair: Volume
    infarct_contrast: float


def sample_brain_clusters(rng: np.random.Generator, head: Head, *, most: int) -> dict[str, Clusters]:
    """Samples a sub-division of grey and of white matter.

    Args:
        rng: Source of every random choice.
        head: The anatomy.
        most: Greatest number of clusters of a tissue.
    """
    tissues = {"grey": head.grey, "white": head.white}
    return {n: sample_clusters(rng, head, t, count=int(rng.integers(1, most + 1))) for n, t in tissues.items()}


@cites("Zalevskyi2026")
def sample_clustered_texture(rng: np.random.Generator, head: Head, texture: Texture) -> Texture:
    """The texture of a subject with other density and ADC in each cluster of its grey and white matter.

    Args:
        rng: Source of every random choice.
        head: The anatomy.
        texture: Adds to these; ``physics`` gives the signal.
    """
    weight, water = texture.weight.copy(), texture.water.copy()
    spread, adc_spread = rng.uniform(0.04, 0.14), rng.uniform(0.0, 0.07)
    for clusters in sample_brain_clusters(rng, head, most=5).values():
        weight += clusters.spread(rng.normal(0, spread, clusters.count))
        water += clusters.spread(rng.normal(0, adc_spread, clusters.count))
    return Texture(weight, water)


@cites("Billot2023", "Chalcroft2025", "Zalevskyi2026")
def sample_random_contrast(
    rng: np.random.Generator, head: Head, body: Body, *, stage: Stage, b_value: float
) -> NoiseFreeImages:
    """Samples the images of one subject with random contrasts.

    Args:
        rng: Source of every random choice.
        head: The anatomy.
        body: Fractions of the tissues, with infarct and scars.
        stage: Age of the infarct, which gives its ADC relative to normal.
        b_value: b value in s/mm².
    """
    clusters, b = sample_brain_clusters(rng, head, most=6), b_value / 1000
    contrast = float(np.exp(rng.uniform(np.log(_LEAST_CONTRAST), np.log(_GREATEST_CONTRAST))))
    fade = np.clip(np.exp(np.float32(rng.uniform(0, 0.35)) * _field(rng, head, 30)), 0.5, 1.5)
    gain = 1 + np.float32(contrast - 1) * fade
    normal, adc = _sample_dwi_means(rng, clusters), _sample_adc_means(rng, clusters)
    if rng.random() < 0.8:
        normal |= _diffusing_fluids(rng, adc, b)
    scar = float(min(np.exp(rng.normal(0.03, 0.13)), 1 + 0.4 * (contrast - 1)))
    factors = {"infarcted": stage.adc_factor * np.exp(rng.normal(0, 0.06)), "scarred": rng.uniform(1.1, 1.7)}
    means = _with_disease(normal, {"infarcted": 1.0, "scarred": scar})
    adc = _with_disease(adc, factors)
    shared = _sample_grain(rng, head)
    dwi = _painted(body, clusters, means, gain) * shared
    reference = _painted(body, clusters, {n: _reference_means(means[n], adc[n], b) for n in means}, gain) * shared
    reference *= np.exp(np.float32(b * rng.uniform(0, 0.06)) * _field(rng, head, 7))
    flair = _sample_free_image(rng, head, body, clusters, stage=stage)
    return NoiseFreeImages(dwi, reference, flair, contrast)


def _field(rng: np.random.Generator, head: Head, scale_mm: float) -> Volume:
    return smooth_field(rng, head.grid.shape, spacing_mm=head.grid.spacing_mm, scale_mm=scale_mm)


def _sample_grain(rng: np.random.Generator, head: Head) -> Volume:
    """Samples the variation within a tissue, voxel by voxel and over some millimetres, and a bias field; about 1."""
    log = np.float32(rng.uniform(0, 0.07)) * rng.standard_normal(head.grid.shape, dtype=np.float32)
    for most, scale_mm in ((0.06, rng.uniform(5, 12)), (0.25, rng.uniform(45, 90))):
        log += np.float32(rng.uniform(0, most)) * _field(rng, head, scale_mm)
    return np.exp(log)


def _sample_dwi_means(rng: np.random.Generator, clusters: Mapping[str, Clusters]) -> dict[str, np.ndarray]:
    """Samples the mean DWI signal of each cluster of each tissue; white matter is about 1."""
    spread = rng.uniform(0.03, 0.22)
    grey = np.exp(rng.normal(0.12, 0.22))
    fluid = float(np.exp(rng.uniform(np.log(0.05), np.log(1.1))))
    return {
        "white": np.exp(rng.normal(0, spread, clusters["white"].count)),
        "grey": grey * np.exp(rng.normal(0, spread, clusters["grey"].count)),
        "csf": np.array([fluid]),
        "vitreous": np.array([fluid * rng.uniform(0.5, 2.0)]),
        "soft": np.array([rng.uniform(0, 1.4) * rng.beta(1.2, 2.0)]),
    }


def _sample_adc_means(rng: np.random.Generator, clusters: Mapping[str, Clusters]) -> dict[str, np.ndarray]:
    """Samples the mean ADC of each cluster of each tissue in 10⁻³ mm²/s; its scale is physical."""
    spread, white, grey = rng.uniform(0.0, 0.08), rng.normal(0.74, 0.06), rng.normal(0.84, 0.07)
    return {
        "white": np.clip(rng.normal(white, spread, clusters["white"].count), 0.52, 1.2),
        "grey": np.clip(rng.normal(grey, spread, clusters["grey"].count), 0.55, 1.3),
        "csf": rng.uniform(2.0, 3.4, 1),
        "vitreous": rng.uniform(2.0, 3.4, 1),
        "soft": rng.uniform(0.5, 1.8, 1),
    }


def _diffusing_fluids(rng: np.random.Generator, adc: Mapping[str, np.ndarray], b: float) -> dict[str, np.ndarray]:
    """Samples the DWI signal of fluids that are bright at b = 0, as nearly all images show them."""
    baseline = np.exp(rng.uniform(np.log(1.2), np.log(6.0)) + b * adc["white"].mean())
    return {n: baseline * rng.uniform(0.8, 1.2) * np.exp(-b * adc[n]) for n in ("csf", "vitreous")}


def _with_disease(means: Mapping[str, np.ndarray], factors: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The means with those of diseased grey and white matter, which are multiples of the normal ones."""
    diseased = {f"{name} {state}": means[name] * f for name in _BRAIN for state, f in factors.items()}
    return {**means, **diseased}


def _reference_means(dwi: np.ndarray, adc: np.ndarray, b: float) -> np.ndarray:
    """Means at b = 0 that give the ADC, in units of white matter's; fluid is limited as by the noise floor."""
    limited = np.minimum(adc, np.log(_BRIGHTEST_FLUID * np.exp(0.74 * b) / np.maximum(dwi, 1e-3)) / b)
    return np.asarray(dwi * np.exp(b * np.maximum(limited, 0.1)))


def _painted(
    body: Body, clusters: Mapping[str, Clusters], means: Mapping[str, np.ndarray], gain: Volume | float
) -> Volume:
    """Σ fraction · mean over tissues and clusters; ``gain`` multiplies the signal of infarcted tissue."""
    total = np.zeros_like(body.extra_r2)
    for name in _BRAIN:
        for state in ("", " infarcted", " scarred"):
            fraction = body.fractions[name + state]
            if state and not fraction.any():
                continue
            signal = fraction * clusters[name].spread(means[name + state])
            total += signal * gain if state == " infarcted" else signal
    for name in _OTHER:
        total += np.float32(means[name][0]) * body.fractions[name]
    return total


def _sample_free_image(
    rng: np.random.Generator, head: Head, body: Body, clusters: Mapping[str, Clusters], *, stage: Stage
) -> Volume:
    """Samples a T2-weighted image of free contrast, as FLAIR or b = 0; an old infarct is brighter on it."""
    spread = rng.uniform(0.03, 0.25)
    fluid = rng.uniform(0.0, 0.5) if rng.random() < 0.6 else rng.uniform(0.5, 4.0)
    means = {
        "white": np.exp(rng.normal(0, spread, clusters["white"].count)),
        "grey": np.exp(rng.normal(0.15, 0.25)) * np.exp(rng.normal(0, spread, clusters["grey"].count)),
        "csf": np.array([fluid]),
        "vitreous": np.array([fluid * rng.uniform(0.3, 2.0)]),
        "soft": np.array([rng.uniform(0, 2.0)]),
    }
    old = float(np.clip((stage.t2_factor - 1) / 0.8, 0, 1))
    contrast = float(np.exp(rng.normal(0, 0.06) + old * rng.uniform(0.1, 0.8)))
    scar = float(np.exp(rng.uniform(0.1, 0.9)))
    means = _with_disease(means, {"infarcted": contrast, "scarred": scar})
    return _painted(body, clusters, means, 1.0) * _sample_grain(rng, head)
