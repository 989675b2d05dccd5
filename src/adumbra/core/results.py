"""What travels after the network: maps, volumes over the draws, findings. Frozen, without behaviour.

All volumes lie on ``grid``: the reference grid, RAS+ axes. Entropies are in nats, volumes in ml, positions in RAS+ mm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from adumbra.core.case import Case
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Modality, Target, Volume

Curve = tuple[np.ndarray, np.ndarray]
"""Its x, and its y."""


@dataclass(frozen=True, eq=False)
class Maps:
    """The predictive distribution of one target, voxel by voxel.

    The margin, a function of the probability alone, is not held: ``uncertainty.maps.margin(maps.probability)`` has it.

    Attributes:
        probability: Mean of the draws, in [0, 1].
        entropy: Predictive entropy H[E p], nats.
        aleatoric: Expected entropy E H[p], nats.
        epistemic: Mutual information, ``entropy - aleatoric``, nats, never negative.
        variance: Variance of the draws (divided by n, zero for identical draws).
        mask: ``probability >= threshold``, in 26-connected parts that somewhere reach ``high_threshold``.
        threshold: The probability from which a voxel is called part of the target.
        draws: How many draws the maps average.
        high_threshold: The probability that each part of the mask reaches; at or under ``threshold`` it asks nothing.
    """

    target: Target
    grid: Grid
    probability: Volume
    entropy: Volume
    aleatoric: Volume
    epistemic: Volume
    variance: Volume
    mask: Mask
    threshold: float
    draws: int
    high_threshold: float = 0.0


@dataclass(frozen=True)
class VolumeDraws:
    """The target's volume in each draw, thresholded like the mask, in ml; and its count of 26-connected parts."""

    target: Target
    volumes_ml: tuple[float, ...]
    components: tuple[int, ...]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: The number.
        low: Lower end of the interval.
        high: Upper end.
        level: Share of the draws in it; or, calibrated, of the cases whose truth it holds.
        unit: Of all three.
        by: What the interval rests on: the draws, or a calibration on held-out cases.
    """

    value: float
    low: float
    high: float
    level: float
    unit: str
    by: Literal["draws", "calibration"] = "draws"


@dataclass(frozen=True)
class Region:
    """One doubtful region, for the reader to look at.

    Attributes:
        rank: 1 is the most doubtful (largest summed entropy).
        volume_ml: Volume of the region.
        side: ``"left"``, ``"right"`` or ``"midline"`` of the patient.
        position_mm: The voxel of highest entropy in it, RAS+ scanner mm.
        index: The same voxel on the reference grid.
        mean_entropy: Mean predictive entropy, nats.
        epistemic_share: Summed mutual information over summed entropy, 0 to 1.
        mean_probability: Mean predicted probability.
        inside: Share of the region that lies in the predicted mask.
    """

    rank: int
    volume_ml: float
    side: str
    position_mm: tuple[float, float, float]
    index: tuple[int, int, int]
    mean_entropy: float
    epistemic_share: float
    mean_probability: float
    inside: float


@dataclass(frozen=True)
class RegionUncertainty:
    """What the draws say of one region: a component of the mask with what lies near it, or the whole case.

    Attributes:
        volume_ml: Of the mask in it.
        position_mm: Centroid of the mask in it, RAS+ mm; None where there is no mask.
        mean_entropy: Mean predictive entropy over the mask in it, nats; nan where there is no mask.
        pairwise_dice: Of two draws in the region, in [0, 1], as ``uncertainty.regional`` defines it; 1 where no
            draw calls anything, as the Dice of two empty masks is; nan for a single draw.
        mean_draw_ml: Mean over the draws of their volume in the region.
        volume_cv: Standard deviation of that volume (divided by n - 1) over its mean; nan where the mean is 0, and for
            a single draw.
        positive_share: Share of the draws that call at least one voxel of the region.
    """

    volume_ml: float
    position_mm: tuple[float, float, float] | None
    mean_entropy: float
    pairwise_dice: float
    mean_draw_ml: float
    volume_cv: float
    positive_share: float


@dataclass(frozen=True)
class RegionalUncertainty:
    """The whole case, and each 26-connected component of its mask.

    Attributes:
        case: Over every voxel that was analysed.
        components: The largest first, in the order of ``uncertainty.regional.by_size``.
        reach_mm: How far from a component a draw's voxel may lie to count as its.
        draws: How many there were: the case and every pairwise Dice are of all of them.
        kept: How many of them the volumes of components are of.
    """

    case: RegionUncertainty
    components: tuple[RegionUncertainty, ...]
    reach_mm: float
    draws: int
    kept: int


@dataclass(frozen=True)
class Findings:
    """What the clinician reads of one target.

    Attributes:
        volume_ml: Volume of the mask, with its interval over the draws.
        components: Number of 26-connected components of the mask, with its interval over the draws.
        regions: The most doubtful regions, ranked.
        notes: Sentences that must stand beside the numbers.
        regional: How far the draws agree on the whole and on each part of the mask; None where it was not asked for.
    """

    target: Target
    volume_ml: Estimate
    components: Estimate
    regions: tuple[Region, ...]
    notes: tuple[str, ...] = ()
    regional: RegionalUncertainty | None = None


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Where a cross-modal network looked; not how much what it saw mattered to the outline.

    Attributes:
        primary: The modality that listened; None is all of them together.
        shares: Of its attention, by modality, of the others that are there, in [0, 1]: 1 together in the dilated brain
            and 0 beyond it.
        opened: How far doubt let it listen, in [0, 1]; None where no doubt guides the network.
    """

    primary: Modality | None
    shares: Mapping[Modality, Volume]
    opened: Volume | None = None


@dataclass(frozen=True, eq=False)
class Curves:
    """Where a probability and its uncertainty were right, as lines of x and y of one length; nan where undefined.

    Attributes:
        brain: Reliability inside the brain: mean probability of each bin, share of its voxels in the truth.
        boundary: The same near the boundary.
        risk: Share of the brain's voxels kept, the surest first, and share of those that is wrong.
        retention: Share of lesions kept as predicted, the surest first, and the lesion-wise F1 when an expert does the
            others.
    """

    brain: Curve
    boundary: Curve
    risk: Curve
    retention: Curve


@dataclass(frozen=True, eq=False)
class Prediction:
    """Everything that was made of one case for one target, before any of it is written.

    Attributes:
        case: Aligned: its scans, brain and truth lie on the maps' grid.
        scores: Of the mask against the truth, where one is known; nan where undefined.
        curves: Of the uncertainty against the truth, where one is known.
        attention: Of a cross-modal network, on the maps' grid; None of any other.
    """

    case: Case
    maps: Maps
    draws: VolumeDraws
    findings: Findings
    scores: Mapping[str, float] | None
    curves: Curves | None = None
    attention: AttentionMaps | None = None


@dataclass(frozen=True)
class RunRecord:
    """The manifest of one run: enough to do it again, nothing that names a patient.

    Attributes:
        command: The command line, paths reduced to file names.
        versions: Package versions by name.
        seed: Of every random choice.
        weights: Name and sha256 of the weights.
        options: The resolved options.
        conversions: The case's provenance, as plain mappings.
        timings_s: Seconds by station, in order.
        inputs: sha256 by modality.
        outputs: sha256 by file name.
        references: Keys of the papers that the methods used rest on (``adumbra.core.references``).
    """

    command: str
    versions: Mapping[str, str]
    seed: int
    weights: Mapping[str, str]
    options: Mapping[str, object]
    conversions: tuple[Mapping[str, object], ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    references: tuple[str, ...] = ()
