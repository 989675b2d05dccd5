"""Choices that several layers share: their names, and the settings of a prediction.

The command line imports this module, so it imports nothing heavy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

TrainedTarget = Literal["lesion", "thrombus"]
"""The targets of ``core.targets.TARGET_SPECS`` that have a network."""

Guide = Literal["none", "constant", "shuffled", "uncertainty", "oracle"]
"""The guidance map: none, the mean of U everywhere, U with its voxels permuted, the uncertainty U, the true error."""

BlurKind = Literal["none", "uniform", "shuffled", "focused", "inverse"]
"""Where images are blurred: nowhere, uniformly, with a permuted map, where uncertainty is high, where it is low."""

DiffusionTarget = Literal["noise", "velocity"]
"""The quantity that a diffusion model predicts in its loss: the noise, as in a DDPM, or the velocity, which gives
coarse structure at high noise levels more weight."""

DeviceName = Literal["auto", "cpu", "cuda"]
"""Where a network runs; ``"auto"`` takes a GPU where there is one."""

Precision = Literal["auto", "bf16", "f32"]
"""Floating-point format of a network; ``"auto"`` is bfloat16 where the hardware computes it."""

Registration = Literal["auto", "never"]
"""Whether scans on different grids are registered: where it improves their agreement, or never."""


@dataclass(frozen=True)
class ComputeConfig:
    """How a network is applied to a volume. It changes the cost, and the result only by rounding and blending.

    Attributes:
        window: Side of the windows, in voxels; None takes the window, or the patch, of the network's card.
        overlap: Least share of a side that neighbouring windows have in common.
        precision: Format of the network's arithmetic; blending and all later steps are float32.
        device: Where the network runs.
        cache_gb: Largest memory for features that all draws share; beyond it they are computed again.
        dense_draws: Whether draws are made in whole windows even where drawing at uncertain voxels only would do.
        threads: Processor threads; None leaves torch's own choice.
    """

    window: int | None = None
    overlap: float = 0.25
    precision: Precision = "auto"
    device: DeviceName = "auto"
    cache_gb: float = 1.0
    dense_draws: bool = False
    threads: int | None = None


@dataclass(frozen=True)
class InferenceConfig:
    """How a target is segmented.

    Attributes:
        weights: Released weights by name, or a file; several make an ensemble. None takes those of the target.
        posterior: A name of ``posterior.registry.POSTERIORS``; empty takes the one that the weights were trained for.
        draws: Number of posterior draws; ``"auto"`` draws until ``standard_error`` is reached.
        standard_error: Standard error of the mean probability at which ``"auto"`` stops, see ``uncertainty.maps``.
        seed: Seed of every random choice: the same seed gives the same maps and the same page.
        threshold: Probability from which a voxel belongs to the mask; None takes the value of the weights' card.
        high_threshold: Probability that each component of the mask must reach somewhere (hysteresis); None takes the
            value of the card.
        calibration: A file of ``adumbra calibrate``; ``"beside"`` takes the one beside the weights, where there is one.
        registration: Whether scans on different grids are registered.
        compute: How the network is applied to a volume.
    """

    weights: str | Path | Sequence[str | Path] | None = None
    posterior: str = ""
    draws: int | Literal["auto"] = 20
    standard_error: float = 0.01
    seed: int = 0
    threshold: float | None = None
    high_threshold: float | None = None
    calibration: Path | Literal["beside", "none"] = "beside"
    registration: Registration = "auto"
    compute: ComputeConfig = field(default_factory=ComputeConfig)


@dataclass(frozen=True)
class InputOptions:
    """How the files of a case are read, see ``cases.registry.open_case``.

    Attributes:
        masks: Mask files by name: ``"brain"``, or a target whose ground truth is known.
        row: Identifier of the case in a CSV manifest.
        columns: Columns of the manifest by modality, where they have other names.
        b_value: b-value of the DWI in s/mm², where no side-car states it.
        adc_unit: Unit of the ADC, such as ``"1e-6mm2/s"``, where its values do not tell it.
        nan_to_zero: Fill NaN and infinite voxels with 0 and treat them as not measured, instead of refusing the file.
    """

    masks: Mapping[str, Path] | None = None
    row: str | None = None
    columns: Mapping[str, str] | None = None
    b_value: float | None = None
    adc_unit: str | None = None
    nan_to_zero: bool = False
