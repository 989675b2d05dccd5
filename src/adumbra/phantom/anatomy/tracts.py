"""Dense fibre tracts of the white matter, which are bright on diffusion-weighted images."""

import numpy as np

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.template import block_around

# Centre and radii on the right side in MNI152 millimetres: splenium, genu, internal capsule, corona radiata, sagittal
# stratum beside the atrium, middle cerebellar peduncle.
TRACTS_MM = (
    ((0.0, -38.0, 14.0), (15.0, 6.0, 6.0)),
    ((0.0, 28.0, 6.0), (13.0, 5.0, 6.0)),
    ((24.0, -14.0, 8.0), (4.0, 8.0, 9.0)),
    ((26.0, -20.0, 28.0), (5.0, 8.0, 12.0)),
    ((34.0, -46.0, 10.0), (4.0, 14.0, 8.0)),
    ((22.0, -48.0, -36.0), (6.0, 9.0, 7.0)),
)


def sample_tracts(rng: np.random.Generator, subject: Head) -> Volume:
    """Samples the density of tracts without fibre crossings, 0 to about 1; the strength varies between tracts.

    The trace averages three directions. Where fibres are dense it is slightly brighter than elsewhere in white matter,
    with a lower ADC, and can be mistaken for an infarct.

    Args:
        rng: Source of position, size and strength of the tracts.
        subject: The subject's anatomy.
    """
    amount = np.zeros(subject.grid.shape, np.float32)
    for centre, radii in TRACTS_MM:
        middle = np.array(centre) + rng.normal(0, 1.5, 3) * (np.array(centre) != 0)
        radii_mm = np.array(radii) * rng.uniform(0.8, 1.3, 3)
        strength = np.float32(rng.beta(1.5, 1.5))
        for side in (1, -1) if centre[0] else (1,):
            at = middle * (side, 1, 1)
            # The density is negligible beyond two radii.
            block = block_around(subject.mni_mm, at - 2 * radii_mm, at + 2 * radii_mm)
            if block is not None:
                points = zip(subject.mni_mm[(slice(None), *block)], at, radii_mm, strict=True)
                squared = sum(((x - np.float32(c)) / np.float32(r)) ** 2 for x, c, r in points)
                np.maximum(amount[block], strength * np.exp(-(squared**1.5)), out=amount[block])
    return amount * subject.white
