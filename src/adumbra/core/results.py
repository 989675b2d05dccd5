"""Results of a prediction: maps, volumes of the draws, findings. Frozen values without behaviour.

All volumes lie on ``grid``: the reference grid, RAS+ axes. Entropies are in nats, volumes in ml, positions in RAS+ mm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from adumbra.core.candidates import CandidateDecision
from adumbra.core.case import Case
from adumbra.core.case_features import CaseFeatures, CaseScore, WidthShares
from adumbra.core.geometry.grid import Grid
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.types import Mask, Modality, Target, Volume

Curve = tuple[np.ndarray, np.ndarray]
"""x and y of a line, of equal length."""


@dataclass(frozen=True, eq=False)
class Maps:
    """The predictive distribution of one target, voxel by voxel.

    The margin is a function of the probability alone: ``uncertainty.maps.margin(maps.probability)``.

    Attributes:
        probability: Mean of the draws, in [0, 1].
        entropy: Predictive entropy H[E p], nats.
        aleatoric: Expected entropy E H[p], nats.
        epistemic: Mutual information, ``entropy - aleatoric``, nats, never negative.
        variance: Variance of the draws (divided by n, zero for identical draws).
        mask: ``probability >= threshold``, in 26-connected components that somewhere reach ``high_threshold``.
        threshold: Probability from which a voxel belongs to the mask.
        draws: Number of draws.
        high_threshold: Probability that each component of the mask reaches (hysteresis); no effect at or below
            ``threshold``.
        decided: Whether the mask holds the contours of accepted candidates instead, see ``core.candidates``.
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
    decided: bool = False

    def uncertainty(self, measure: str) -> Volume:
        """The map of one measure of uncertainty.

        Args:
            measure: ``"entropy"``, ``"aleatoric"``, ``"epistemic"`` or ``"variance"``.

        Raises:
            KeyError: There is no such measure.
        """
        return {
            "entropy": self.entropy,
            "aleatoric": self.aleatoric,
            "epistemic": self.epistemic,
            "variance": self.variance,
        }[measure]


@dataclass(frozen=True)
class VolumeDraws:
    """Volume of the target in each draw, thresholded like the mask, in ml, and its number of components."""

    target: Target
    volumes_ml: tuple[float, ...]
    components: tuple[int, ...]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: The number.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: Share of the draws within it; for a calibrated interval, its coverage: the share of cases whose truth
            lies within it.
        unit: Unit of the three numbers.
        by: Basis of the interval: the draws, or a calibration on held-out cases.
    """

    value: float
    low: float
    high: float
    level: float
    unit: str
    by: Literal["draws", "calibration"] = "draws"


@dataclass(frozen=True)
class Region:
    """One uncertain region, for the reader to look at.

    Attributes:
        rank: 1 is the most uncertain (largest summed entropy).
        volume_ml: Volume of the region.
        side: ``"left"``, ``"right"`` or ``"midline"`` of the patient.
        position_mm: Its voxel of highest entropy, RAS+ scanner mm.
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
    """Agreement of the draws in one region: a component of the mask with its surroundings, or the whole case.

    Attributes:
        volume_ml: Volume of the mask in the region.
        position_mm: Centroid of that mask, RAS+ mm; None where there is no mask.
        mean_entropy: Mean predictive entropy over that mask, nats; nan where there is no mask.
        draws_dice: Expected Dice of two draws in the region, in [0, 1], as ``uncertainty.regional`` defines it; 1
            where all draws are empty, as the Dice of two empty masks is; nan for a single draw.
        mean_draw_ml: Mean volume of the draws in the region.
        volume_cv: Standard deviation of that volume (divided by n - 1) over its mean; nan where the mean is 0, and for
            a single draw.
        positive_share: Share of the draws with at least one positive voxel in the region.
    """

    volume_ml: float
    position_mm: tuple[float, float, float] | None
    mean_entropy: float
    draws_dice: float
    mean_draw_ml: float
    volume_cv: float
    positive_share: float


@dataclass(frozen=True)
class RegionalUncertainty:
    """Agreement of the draws in the whole case, and in each 26-connected component of its mask.

    Attributes:
        case: All analysed voxels.
        components: Components, the largest first, in the order of ``uncertainty.regional.components_by_size``.
        reach_mm: Largest distance from a component at which voxels of a draw still belong to it.
        draws: Number of draws; the case and every ``draws_dice`` use all of them.
        stored_draws: Number of draws whose masks were stored; the volumes of components use these.
    """

    case: RegionUncertainty
    components: tuple[RegionUncertainty, ...]
    reach_mm: float
    draws: int
    stored_draws: int


@dataclass(frozen=True)
class Findings:
    """Results for one target, as the report shows them.

    Attributes:
        volume_ml: Volume of the mask, with its interval over the draws.
        components: Number of 26-connected components of the mask, with its interval over the draws.
        regions: The most uncertain regions, ranked.
        notes: Sentences that must stand beside the numbers.
        regional: Agreement of the draws on the whole and on each component of the mask; None where not computed.
        width: Sources of the width of the volume's interval; None where not computed.
        score: Agreement of the members with its calibrated meaning; None where not computed.
        candidates: Candidates of a clot with their decisions; None without a second look.
    """

    target: Target
    volume_ml: Estimate
    components: Estimate
    regions: tuple[Region, ...]
    notes: tuple[str, ...] = ()
    regional: RegionalUncertainty | None = None
    width: WidthShares | None = None
    score: CaseScore | None = None
    candidates: CandidateDecision | None = None


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Cross-attention weights of a cross-modal network. They are not a measure of importance for the segmentation.

    Attributes:
        primary: The modality whose queries attend to the others; None is all of them together.
        weights: Cross-attention weights of the other available modalities, (X, Y, Z) by modality, in [0, 1]; they
            add up to 1 in the dilated brain and are 0 beyond it.
        gate: Attention gate, (X, Y, Z) in [0, 1]; None for a network without uncertainty guidance.
    """

    primary: Modality | None
    weights: Mapping[Modality, Volume]
    gate: Volume | None = None


@dataclass(frozen=True, eq=False)
class Curves:
    """Quality of a probability and of its uncertainty, as lines; nan where undefined.

    Attributes:
        brain: Reliability inside the brain: mean probability of each bin, share of its voxels in the truth.
        boundary: The same near the boundary.
        risk: Share of the brain's voxels retained, the most certain first, and error rate among them.
        retention: Share of lesions retained as predicted, the most certain first, and the lesion-wise F1 when an
            expert corrects the others.
    """

    brain: Curve
    boundary: Curve
    risk: Curve
    retention: Curve


@dataclass(frozen=True)
class RefinementSummary:
    """What a second pass over some windows cost, and what it changed.

    Attributes:
        windows: Number of windows that it read.
        all_windows: Number of windows of a full second pass.
        covered_share: Share of the uncertainty of the first pass in these windows; nan where there was none.
        first_ml: Volume of the mask of the first pass alone, of the same draws, ml.
        refined_ml: Volume of the mask, ml.
    """

    windows: int
    all_windows: int
    covered_share: float
    first_ml: float
    refined_ml: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """All results of one case for one target, before they are written.

    Attributes:
        case: The aligned case: scans, brain and ground truth lie on the maps' grid.
        maps: The predictive distribution.
        draws: Volumes and counts of the draws.
        findings: Results as the report shows them.
        scores: Measures of the mask against the ground truth, where it is known; nan where undefined.
        curves: Quality of the uncertainty, where the ground truth is known.
        attention: Cross-attention maps on the maps' grid; None for a network without cross-attention.
        features: Features of the draws; None where not computed.
        refinement: What a second pass changed; None without one.
        mask_draws: Masks of the first draws on the grid of the maps; None where they were not stored.
    """

    case: Case
    maps: Maps
    draws: VolumeDraws
    findings: Findings
    scores: Mapping[str, float] | None
    curves: Curves | None = None
    attention: AttentionMaps | None = None
    features: CaseFeatures | None = None
    refinement: RefinementSummary | None = None
    mask_draws: MaskDraws | None = None


@dataclass(frozen=True)
class RunRecord:
    """The manifest of one run: everything needed to repeat it, and nothing that identifies a patient.

    Attributes:
        command: Command line, its paths reduced to file names.
        versions: Package versions by name.
        seed: Seed of every random choice.
        weights: Name and sha256 of the weights.
        options: Resolved options.
        conversions: The case's provenance, as plain mappings.
        timings_s: Seconds of each stage, in order.
        inputs: sha256 by modality.
        outputs: sha256 by file name.
        references: Keys of the papers behind the methods that were used (``adumbra.core.references``).
        results: Volume with its interval, sources of its width, and case score, as plain values.
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
    results: Mapping[str, object] = field(default_factory=dict)
