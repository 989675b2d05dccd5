"""Susceptibility of tissue iron in the deep grey nuclei and the cortex, as a function of age.

The values of ``susceptibility.CHI_PPM`` are those of middle age. From 5 to 90 years they increase in caudate, putamen
and pallidum; in the thalamus they are highest at about 40. The variation between subjects increases with age (Treit et
al., Hum Brain Mapp 2021;42:4597).
"""

from collections.abc import Mapping

import numpy as np

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.nuclei import NUCLEI_BOX_MM, NUCLEI_MM
from adumbra.phantom.anatomy.template import block_around
from adumbra.phantom.physics.susceptibility import CHI_PPM

# Susceptibility of iron at age 0 (young) and 1 (very old), relative to middle age; approximate, after Treit et al.
# 2021.
_OVER_LIFE = {
    "red_nucleus": (0.8, 1.2),
    "substantia_nigra": (0.85, 1.15),
    "pallidum": (0.85, 1.15),
    "caudate": (0.85, 1.15),
    "thalamus": (1.15, 0.85),
    "putamen": (0.65, 1.35),
    "grey": (0.85, 1.15),
}


def sample_iron_ppm(rng: np.random.Generator, head: Head, nuclei: Mapping[str, Volume]) -> Volume:
    """Samples the susceptibility of iron in ppm, relative to tissue without iron, (X, Y, Z).

    It is Σ fraction · ``CHI_PPM`` · age factor · subject factor over the nuclei and the remaining grey matter. The
    standard deviation of the subject factors is about a tenth in the young and a fifth in the very old.

    Args:
        rng: Source of the subject factors.
        head: The subject's anatomy.
        nuclei: The nuclei of this head (``anatomy.nuclei.nucleus_fractions``).
    """
    scatter = 0.1 + 0.1 * head.age
    subject = rng.normal(0, 0.7)  # half of the variance is common to all grey matter
    own = {n: float(np.exp(scatter * (subject + rng.normal(0, 0.7)))) for n in _OVER_LIFE}
    chi = {n: CHI_PPM[n] * own[n] * (a + (b - a) * head.age) for n, (a, b) in _OVER_LIFE.items()}
    iron = head.grey * np.float32(chi["grey"])
    block = block_around(head.mni_mm, *NUCLEI_BOX_MM)
    if block is not None:
        nucleus = sum(nuclei[n][block] for n in NUCLEI_MM)
        iron[block] *= 1 - nucleus / np.maximum(head.grey[block] + head.white[block], np.float32(1e-6))
        for name in NUCLEI_MM:
            iron[block] += np.float32(chi[name]) * nuclei[name][block]
    return iron
