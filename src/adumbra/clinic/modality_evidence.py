"""Which modality an uncertain region rests on: its probability and its entropy without each modality.

With p the probability of a voxel from all available modalities, p₋ₘ the probability without modality m, H the binary
entropy in nats, and the mean over the voxels of a region:

    change        mean p − mean p₋ₘ           what the modality adds to the probability of the region
    information   mean (H[p₋ₘ] − H[p])        by how much it lowers the predictive entropy, nats per voxel

For a calibrated network the mean of H[T | others] − H[T | others, m] over cases is the conditional mutual information
I(T; m | others) of target T and modality m. A single region gives one term of this mean.

Three limits follow. The information may be negative: the modality then raised the entropy there. It is what the network
takes from the modality, and not what the image holds. The network saw fewer cases without the modality in training, so
that a part of a change may be a failure of the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.core.entropy import binary_entropy
from adumbra.core.types import Modality, Volume

LEAST_INFORMATION = 0.05
"""Nats per voxel from which a modality is said to settle a region: a fourteenth of ln 2, the entropy of an undecided
voxel. A convention."""


@dataclass(frozen=True, eq=False)
class WithheldProbabilities:
    """Probability maps of the same networks, with all modalities and with one modality withheld.

    Attributes:
        complete: (X, Y, Z), with all available modalities.
        without: The same without each modality.
    """

    complete: Volume
    without: Mapping[Modality, Volume]


@dataclass(frozen=True)
class ModalityChange:
    """What one modality contributes to a region.

    Attributes:
        modality: The modality that was withheld.
        probability: Mean probability of the region with all modalities.
        probability_without: The same without the modality.
        information_nats: Reduction of the predictive entropy by the modality, mean over the voxels, in nats.
    """

    modality: Modality
    probability: float
    probability_without: float
    information_nats: float

    @property
    def change(self) -> float:
        """Mean probability with all modalities minus that without this one."""
        return self.probability - self.probability_without

    @property
    def sentence(self) -> str:
        """The contribution in words."""
        verb = "lowers" if self.information_nats >= 0.0 else "raises"
        return (
            f"Without {title(self.modality)} the mean probability is {self.probability_without:.2f} instead of "
            f"{self.probability:.2f}; {title(self.modality)} {verb} the entropy by {abs(self.information_nats):.2f} "
            "nats per voxel."
        )

    def as_json(self) -> dict[str, object]:
        """Plain values, with the sentence."""
        return {
            "modality": self.modality,
            "probability": self.probability,
            "probability_without": self.probability_without,
            "change": self.change,
            "information_nats": self.information_nats,
            "sentence": self.sentence,
        }


def modality_changes(withheld: WithheldProbabilities, region: np.ndarray) -> tuple[ModalityChange, ...]:
    """The contribution of each modality to a region, the one that lowers the entropy most first.

    Args:
        withheld: The maps.
        region: Flat indices (C order) of the voxels of the region, at least one.
    """
    p = withheld.complete.ravel()[region].astype(np.float64)
    entropy = binary_entropy(p).mean()
    rows = []
    for modality, volume in withheld.without.items():
        other = volume.ravel()[region].astype(np.float64)
        information = float(binary_entropy(other).mean() - entropy)
        rows.append(ModalityChange(modality, float(p.mean()), float(other.mean()), information))
    return tuple(sorted(rows, key=lambda row: -row.information_nats))


def settling_modality(changes: tuple[ModalityChange, ...]) -> Modality | None:
    """The modality that lowers the entropy of a region most; None where none lowers it by ``LEAST_INFORMATION``."""
    best = max(changes, key=lambda row: row.information_nats, default=None)
    return best.modality if best is not None and best.information_nats >= LEAST_INFORMATION else None


def title(modality: Modality) -> str:
    """A modality as a reader sees it."""
    return {"b0": "b = 0", "phase": "the phase", "tof": "TOF-MRA"}.get(modality, modality.upper())
