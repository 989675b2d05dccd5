"""Choices that several layers share: their names, and the settings of a prediction.

The command line imports this module, so it imports nothing heavy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from adumbra.core.errors import InputRejected

TrainedTarget = Literal["lesion", "thrombus"]
"""The targets of ``core.targets.TARGET_SPECS`` that have a network."""

PredictedTarget = Literal["lesion", "thrombus", "hypoperfusion"]
"""The targets of a case: those with a network of their own, and hypoperfusion, which is estimated from them."""

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

WindowSelection = Literal["uncertain", "random", "all", "none", "error"]
"""Which windows a second pass reads: where the first is uncertain; as many at random, all, or none as controls; where
the first is wrong, for studies only, since it needs the ground truth."""

WindowMeasure = Literal["entropy", "disagreement"]
"""The uncertainty that chooses windows: the predictive entropy, or its epistemic part."""

Pooling = Literal["sum", "max"]
"""How the uncertainty of voxels is pooled over a part of a window."""


InputKind = Literal["image", "mask", "pair", "case", "manifest", "config", "weights", "archive", "split"]
"""What ``adumbra validate`` checks a path as, see ``gate``."""

InputModality = Literal["dwi", "adc", "b0", "flair", "swi", "phase", "tof"]
"""The names of ``core.types.Modality``. They are repeated because that import would slow ``--help`` down."""


@dataclass(frozen=True)
class SelectionConfig:
    """Which windows a second pass reads, see ``fusion.refinement.selection``.

    Attributes:
        rule: Where windows lie.
        measure: The uncertainty that chooses them.
        pooling: Its sum or its maximum.
        most: Largest number of windows; None sets no limit.
        share: Share of the uncertainty that the windows are to cover, in (0, 1].
        draws: Number of draws of the first pass whose uncertainty is measured; an ensemble takes at least one of each
            member.
        seed: Seed of these draws, and of windows at random.
    """

    rule: WindowSelection = "uncertain"
    measure: WindowMeasure = "entropy"
    pooling: Pooling = "sum"
    most: int | None = 8
    share: float = 0.95
    draws: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 0:
            raise ValueError(f"most: expected a number of windows or None, found {self.most}")
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"share: expected a share in (0, 1], found {self.share}")


@dataclass(frozen=True)
class RefinementConfig:
    """A second pass over some windows, by other networks.

    Attributes:
        weights: Weights of the second pass, a file or a name; several make an ensemble. Their spacing may differ from
            that of the first pass.
        selection: Which windows are read.
        weight: Weight of the second pass where a window counts in full: 1 replaces the first pass, 0 leaves it, and
            values between average the log-odds.
        posterior: A name of ``posterior.registry.POSTERIORS``; empty takes the one that the weights were trained for.
    """

    weights: str | Path | Sequence[str | Path]
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    weight: float = 1.0
    posterior: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.weight <= 1.0:
            raise ValueError(f"weight: expected a weight in [0, 1], found {self.weight}")


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

    def __post_init__(self) -> None:
        """Refuses values that have no meaning.

        Raises:
            InputRejected: The first of them, by its name.
        """
        _require(self.window is None or _is_count(self.window, 1), "window", "1 or more, or None", self.window)
        _require(0.0 <= self.overlap < 1.0, "overlap", "a share from 0 to below 1", self.overlap)
        _require(self.cache_gb >= 0.0, "cache_gb", "0 or more", self.cache_gb)
        _require(self.threads is None or _is_count(self.threads, 0), "threads", "0 or more, or None", self.threads)
        for name, value, values in (("precision", self.precision, get_args(Precision)),
                                    ("device", self.device, get_args(DeviceName))):  # fmt: skip
            _require(value in values, name, " or ".join(values), value)


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
        refinement: A second pass where the first is uncertain; None makes none.
        second_look: Weights of a second look at the candidates of a clot, a file; several make an ensemble.
            ``"beside"`` takes the one beside the weights, where there is one, ``"none"`` none.
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
    refinement: RefinementConfig | None = None
    second_look: str | Path | Sequence[str | Path] = "beside"

    def __post_init__(self) -> None:
        """Refuses values that have no meaning.

        Raises:
            InputRejected: The first of them, by its name.
        """
        _require(self.draws == "auto" or _is_count(self.draws, 1), "draws", "1 or more, or 'auto'", self.draws)
        _require(_is_count(self.seed, 0), "seed", "a whole number from 0 on", self.seed)
        _require(0.0 < self.standard_error <= 1.0, "standard_error", "above 0, up to 1", self.standard_error)
        for name, value, low in (("threshold", self.threshold, 1e-9), ("high_threshold", self.high_threshold, 0.0)):
            _require(value is None or low <= value <= 1.0, name, "a probability, or None for that of the card", value)
        registrations = get_args(Registration)
        _require(self.registration in registrations, "registration", " or ".join(registrations), self.registration)


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _require(is_valid: bool, name: str, expected: str, actual: object) -> None:
    if not is_valid:
        raise InputRejected(name, expected=expected, found=repr(actual), do=f"give {name} such a value")


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
