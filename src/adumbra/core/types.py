"""The types of arrays, and the one legend for axis letters, units and orientation.

Axes      X Y Z   voxels along Right, Anterior, Superior (RAS+): index 0 is the patient's left, back, bottom
          C       channels (modalities, in the order of ``MODALITIES``)
          B       batch of patches        N  points
Units     millimetres; ADC in 10⁻³ mm²/s; probabilities in [0, 1]; entropies in nats; volumes in ml
Affine    4 by 4, voxel index (i, j, k, 1) to RAS+ millimetres, as in NIfTI

In tests, jaxtyping and beartype check every annotated call (see ``tests/conftest.py``); otherwise they cost nothing.
"""

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32, Integer

Volume = Float32[np.ndarray, "X Y Z"]
Mask = Bool[np.ndarray, "X Y Z"]
Labels = Integer[np.ndarray, "X Y Z"]
Channels = Float32[np.ndarray, "C X Y Z"]
Affine = Float[np.ndarray, "4 4"]
Points = Float[np.ndarray, "N 3"]

Modality = Literal["dwi", "adc", "b0", "flair", "swi", "phase", "tof"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
Target = Literal["lesion", "thrombus", "hypoperfusion"]
TARGETS: tuple[Target, ...] = get_args(Target)
Structure = Literal["arteries", "veins", "flow"]
STRUCTURES: tuple[Structure, ...] = get_args(Structure)
"""Anatomy that a network may learn beside its target: arteries as if they were open, veins, and flow that TOF shows."""


def targets_of(names: Iterable[Target | Structure]) -> tuple[Target, ...]:
    """The targets among the outputs of a network, without the structures that are learned beside them."""
    return tuple(name for name in names if name not in STRUCTURES)  # type: ignore[misc]  # what is left is a target
