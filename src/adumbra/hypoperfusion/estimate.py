"""The estimate of hypoperfusion of one case: draws of Tmax > 6 s, each for one draw of the lesion.

For draw i the network reads the evidence with draw i of the lesion, and says how probable a closed artery is. With that
probability the draw has the tissue whose sampled Tmax exceeds the limit, and else none. Whether an artery is closed is
drawn in equal steps over all draws, so that their share is the probability. Draw i of hypoperfusion and draw i of the
lesion belong together, which makes their mismatch a distribution of one case.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from adumbra.clinic.distribution import Distribution
from adumbra.clinic.findings import findings
from adumbra.clinic.interval_limits import limited_to_brain
from adumbra.clinical_summary.place import PlacedCase
from adumbra.core.atlas.coarse_grid import ATLAS_GRID
from adumbra.core.clinical_facts import ClinicalFacts
from adumbra.core.references import cites
from adumbra.core.results import Prediction
from adumbra.core.types import Mask, Volume
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.hypoperfusion.evidence import FLUID_ADC, evidence
from adumbra.networks.perfusion import LoadedPerfusion
from adumbra.uncertainty.case_features import MemberMasks
from adumbra.uncertainty.maps import summarise
from adumbra.uncertainty.regional import regional_uncertainty

LIMIT_S, SEVERE_S = 6.0, 10.0
"""Delays in s: tissue at risk, and severe hypoperfusion."""


@dataclass(frozen=True, eq=False)
class HypoperfusionEstimate:
    """The estimate of a case.

    Attributes:
        prediction: Maps, draws and findings of Tmax > 6 s.
        severe: Volume of Tmax > 10 s in the same draws, ml.
        closed: Probability that an artery is closed.
        tmax_s: (X, Y, Z), mean Tmax of the draws with a closed artery on the grid of the maps, in s; 0 outside tissue,
            and nan where no draw has a closed artery.
        sources: What the estimate was made from, besides the lesion.
    """

    prediction: Prediction
    severe: Distribution
    closed: float
    tmax_s: Volume
    sources: tuple[str, ...]

    def further(self) -> dict[str, Any]:
        """What the clinical summary says beside volume and mismatch, as plain values."""
        return {
            "severe_ml": self.severe.as_json(),
            "closed_probability": self.closed,
            "sources": list(self.sources),
        }


def hours_since_onset(facts: ClinicalFacts) -> float | None:
    """Hours from onset to the images; None where they are not known."""
    hours = facts.hours_since_last_known_well
    return float(hours) if facts.onset_known and hours is not None and hours > 0 else None


@cites("Monteiro2020", "Olivot2009")
def estimate_hypoperfusion(
    networks: Sequence[LoadedPerfusion],
    lesion: tuple[Prediction, PlacedCase],
    thrombus: tuple[Prediction, PlacedCase] | None = None,
    *,
    onset_h: float | None = None,
    seed: int = 0,
) -> HypoperfusionEstimate:
    """Estimates the hypoperfusion of a case.

    Args:
        networks: The networks; draw i is of network i modulo their number.
        lesion: The prediction of the lesion with the masks of its draws, and the place of its case, which is known.
        thrombus: The same of the thrombus; None where no clot was sought.
        onset_h: Hours since onset; None where unknown.
        seed: Seed of the draws.
    """
    prediction, place = lesion
    draws = prediction.mask_draws
    assert draws is not None
    assert place.deformation is not None
    own, sampler = evidence(lesion, thrombus, onset_h=onset_h)
    tissue = tissue_of(prediction, place)
    grid = prediction.maps.grid
    reader = _AtlasReader.of(place, tissue)
    rng = np.random.default_rng([seed, 0])
    levels = (rng.permutation(len(draws)) + 0.5) / len(draws)
    rows, severe_ml, closed, tmax_s = [], [], [], []
    for number, (mask, level) in enumerate(zip(draws, levels, strict=True)):
        network = networks[number % len(networks)]
        sample = network.sample(own.with_lesion(sampler.mean(mask)).channels(), rng)
        closed.append(sample.closed)
        is_closed, latent = level < sample.closed, reader.values(sample.latent)
        rows.append((_sigmoid(latent / sample.width) * is_closed).astype(np.float32))
        severe = np.count_nonzero(latent > np.log(SEVERE_S / LIMIT_S)) if is_closed else 0
        severe_ml.append(float(severe) * grid.voxel_ml)
        if is_closed:
            tmax_s.append(LIMIT_S * np.exp(latent))
    masks = MemberMasks(len(networks))
    maps, volumes = summarise(
        _volumes(rows, tissue),
        target="hypoperfusion",
        grid=grid,
        threshold=networks[0].card.threshold,
        within=tissue,
        draw_masks=masks,
    )
    brain = place.case.masks["brain"].data
    results = findings(maps, volumes, brain=brain, regional=regional_uncertainty(maps, volumes, masks))
    results = limited_to_brain(results, brain_ml=float(np.count_nonzero(brain)) * grid.voxel_ml)
    truth = prediction.case.truth("hypoperfusion")
    measures = None if truth is None else scores(maps.mask, truth.data, grid)
    tmax = np.zeros(grid.shape, np.float32)
    tmax[tissue] = np.mean(tmax_s, axis=0) if tmax_s else np.nan
    return HypoperfusionEstimate(
        Prediction(prediction.case, maps, volumes, results, measures, mask_draws=masks.packed()),
        Distribution("estimated Tmax > 10 s", "ml", tuple(severe_ml)),
        float(np.mean(closed)),
        tmax,
        own.sources,
    )


def tissue_of(prediction: Prediction, place: PlacedCase) -> Mask:
    """The voxels that can be hypoperfused, (X, Y, Z): the brain without fluid, where an ADC shows fluid.

    Args:
        prediction: The prediction of the lesion, which is tissue whatever its ADC.
        place: The place of its case.
    """
    brain = place.case.masks["brain"].data
    if "adc" not in place.case.scans:
        return brain
    return brain & ((place.case.scans["adc"].data < FLUID_ADC) | prediction.maps.mask)


@dataclass(frozen=True, eq=False)
class _AtlasReader:
    """The place of the voxels of a mask in the atlas grid, (3, N) in voxels."""

    index: np.ndarray

    @classmethod
    def of(cls, place: PlacedCase, tissue: Mask) -> "_AtlasReader":
        assert place.deformation is not None
        mni_mm = place.deformation.of_voxels(place.case.grid.affine, place.case.grid.shape)[:, tissue]
        return cls(ATLAS_GRID.index(mni_mm.T).T)

    def values(self, volume: Volume) -> np.ndarray:
        """A volume of the atlas grid at these voxels, float32 (N,)."""
        return np.asarray(ndimage.map_coordinates(volume, self.index, order=1, mode="nearest"), dtype=np.float32)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    out: np.ndarray = 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))
    return out


def _volumes(rows: Sequence[np.ndarray], tissue: Mask) -> Iterator[Volume]:
    for row in rows:
        volume = np.zeros(tissue.shape, np.float32)
        volume[tissue] = row
        yield volume
