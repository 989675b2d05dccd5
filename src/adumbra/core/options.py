"""What can be chosen of a fusion, by name. Only names: the command line reads them before much is loaded."""

from typing import Literal

Guide = Literal["none", "constant", "shuffled", "uncertainty", "oracle"]
"""What stands for U: nothing, its mean everywhere, its values at random places, itself, the true error."""

BlurKind = Literal["none", "uniform", "shuffled", "focused", "inverse"]
"""Where images are blurred: nowhere, everywhere alike, at random places, where in doubt, where sure."""

DiffusionTarget = Literal["noise", "velocity"]
"""Whose error a diffusion model learns from: of the noise, as in a DDPM, or of the velocity, which weighs more what
is coarse and left when there is much noise."""
