"""The estimate of hypoperfusion of a case: evidence on the atlas grid, draws paired with those of the lesion."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.clinical_summary.mismatch import hypoperfusion_part
from adumbra.clinical_summary.place import PlacedCase
from adumbra.core.atlas.coarse_grid import ATLAS_GRID
from adumbra.core.atlas.deformation import DEGREES, Deformation
from adumbra.core.atlas.head_context import HeadContext
from adumbra.core.case import Case, Scan
from adumbra.core.clinical_facts import ClinicalFacts
from adumbra.core.geometry.grid import Grid
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.perfusion_evidence import CHANNELS
from adumbra.core.results import Estimate, Findings, Prediction, VolumeDraws
from adumbra.hypoperfusion.estimate import estimate_hypoperfusion, hours_since_onset
from adumbra.hypoperfusion.evidence import AtlasSampler, clot_map, evidence
from adumbra.networks.perfusion import LoadedPerfusion, PerfusionConfig, PerfusionNetwork, PerfusionSample
from adumbra.networks.weights import Card
from atlas_cases import GRID, IDENTITY, cube
from worklist_cases import maps_of

PLACE_MM = (40.0, -8.0, 20.0)


class FixedNetwork(LoadedPerfusion):
    """A network that always says the same: delayed tissue on the side and around the place of the lesion."""

    def __init__(self, closed: float) -> None:
        super().__init__(PerfusionNetwork(PerfusionConfig(widths=(2, 2, 2, 2), rank=1)), card())
        object.__setattr__(self, "own_closed", closed)

    def sample(self, channels: np.ndarray, rng: np.random.Generator) -> PerfusionSample:
        assert channels.shape == (CHANNELS, *ATLAS_GRID.shape)
        rng.standard_normal(1)
        latent = np.where(cube(PLACE_MM, 30.0, ATLAS_GRID), 1.0, -2.0).astype(np.float32)
        return PerfusionSample(latent, self.own_closed, 0.1)


def card() -> Card:
    return Card("own", "0" * 64, "perfusion", {}, 4.0, 48, 0.5)


def scan(data: np.ndarray, grid: Grid = GRID) -> Scan:
    return Scan(data.astype(np.float32), grid, grid)


def lesion_of(draws: list[np.ndarray], **scans: np.ndarray) -> tuple[Prediction, PlacedCase]:
    brain = cube((0.0, -20.0, 10.0), 62.0)
    mean = np.mean(draws, axis=0)
    masks = {"brain": scan(brain)}
    masks["brain"] = replace(masks["brain"], data=brain)
    case = Case("sub-test", {"dwi": scan(mean), **{name: scan(v) for name, v in scans.items()}}, masks)
    case = replace(case, context=HeadContext(IDENTITY))
    volumes = tuple(float(mask.sum()) * GRID.voxel_ml for mask in draws)
    results = Findings("lesion", Estimate(volumes[0], 0, 1, 0.95, "ml"), Estimate(1, 1, 1, 0.95, "lesions"), ())
    prediction = Prediction(
        case, maps_of(mean), VolumeDraws("lesion", volumes, (1,) * len(draws)), results, None,
        mask_draws=MaskDraws.of(draws),
    )  # fmt: skip
    return prediction, PlacedCase(case, IDENTITY)


@pytest.fixture(scope="module")
def lesion():
    return lesion_of([cube(PLACE_MM, half) for half in (10.0, 14.0, 18.0, 14.0)])


def test_volumes_keep_their_place_and_size_in_the_atlas():
    shift = np.zeros((3, len(DEGREES)))
    turned = np.array([[0.0, -1.0, 0.0, 5.0], [1.0, 0.0, 0.0, -3.0], [0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 1.0]])
    deformation = Deformation(turned, shift)
    sampler = AtlasSampler.of(deformation, GRID)
    mask = cube((20.0, 10.0, 5.0), 14.0)
    carried = sampler.mean(mask)
    centre = np.average(ATLAS_GRID.world_mm(np.argwhere(carried > 0.5)), axis=0)
    own = np.average(GRID.world_mm(np.argwhere(mask)), axis=0)
    assert np.allclose(centre, deformation(own[:, None])[:, 0], atol=1.5)
    assert carried.sum() * ATLAS_GRID.voxel_ml == pytest.approx(mask.sum() * GRID.voxel_ml, rel=0.06)


def test_the_inverse_of_a_bent_map_undoes_it():
    rng = np.random.default_rng(0)
    bent = Deformation(np.diag([1.05, 0.95, 1.1, 1.0]), rng.normal(0, 1.5, (3, len(DEGREES))))
    points = rng.uniform(-70, 70, (3, 50))
    assert np.abs(bent.inverse(bent(points)) - points).max() < 0.05


def test_a_clot_counts_from_one_half():
    probability = np.zeros(GRID.shape, np.float32)
    voxel = tuple(np.rint(GRID.index(np.array([[28.0, 4.0, -15.0]]))[0]).astype(int))
    probability[voxel] = 0.7
    carried = clot_map(probability, GRID, IDENTITY)
    assert carried.max() == pytest.approx(0.4)
    assert clot_map(np.full(GRID.shape, 0.5, np.float32), GRID, IDENTITY).max() == 0.0
    place = ATLAS_GRID.world_mm(np.argwhere(carried > 0))[0]
    assert np.abs(place - [28.0, 4.0, -15.0]).max() <= 4.0


def test_evidence_says_what_it_lacks(lesion):
    own, _ = evidence(lesion)
    assert own.clot is None
    assert own.flow is None
    assert own.lesion.max() > 0.9
    known, _ = evidence(lesion, onset_h=6.0)
    assert known.onset_known
    assert known.log_hours == pytest.approx(np.log(6.0))


def test_each_draw_is_paired_with_one_of_the_lesion(lesion):
    result = estimate_hypoperfusion([FixedNetwork(1.0)], lesion)
    prediction = result.prediction
    assert prediction.mask_draws is not None
    assert len(prediction.mask_draws) == len(lesion[0].mask_draws)
    part = hypoperfusion_part(prediction, lesion[0], result.further())
    assert part.mismatch is not None
    core = [float(mask.sum()) * GRID.voxel_ml for mask in lesion[0].mask_draws]
    assert list(part.mismatch.core.draws) == pytest.approx(core)
    expected = cube(PLACE_MM, 30.0).sum() * GRID.voxel_ml
    assert part.volume.median == pytest.approx(expected, rel=0.25)
    assert list(part.mismatch.difference.draws) == pytest.approx(np.array(part.volume.draws) - core)
    assert part.plain["closed_probability"] == 1.0
    assert result.severe.median == pytest.approx(part.volume.median, rel=0.2), "Tmax is 16 s inside"
    inside = result.tmax_s[cube(PLACE_MM, 10.0)]
    assert np.allclose(inside, 6.0 * np.e, rtol=0.01)


def test_open_arteries_leave_draws_without_hypoperfusion():
    draws = [cube(PLACE_MM, 10.0)] * 10
    half = estimate_hypoperfusion([FixedNetwork(0.4)], lesion_of(draws))
    volumes = np.array(half.prediction.draws.volumes_ml)
    assert (volumes > 0).sum() == 4
    assert half.closed == pytest.approx(0.4)
    assert half.prediction.maps.probability.max() == pytest.approx(0.4, abs=1e-3)
    assert not half.prediction.maps.mask.any()
    none = estimate_hypoperfusion([FixedNetwork(0.0)], lesion_of(draws))
    assert none.prediction.maps.probability.max() == 0.0
    assert np.isnan(none.tmax_s[none.prediction.case.masks["brain"].data]).all()


def test_the_same_seed_gives_the_same_draws(lesion):
    one, again, other = (estimate_hypoperfusion([FixedNetwork(0.5)], lesion, seed=seed) for seed in (1, 1, 2))
    assert one.prediction.draws == again.prediction.draws
    assert one.prediction.draws != other.prediction.draws


def test_fluid_is_not_hypoperfused():
    adc = np.where(cube((50.0, -8.0, 20.0), 12.0), 2.8, 0.8)
    draws = [cube(PLACE_MM, 8.0)] * 2
    result = estimate_hypoperfusion([FixedNetwork(1.0)], lesion_of(draws, adc=adc))
    fluid = (adc > 2.0) & ~cube(PLACE_MM, 8.0)
    assert fluid.any()
    assert result.prediction.maps.probability[fluid].max() == 0.0
    assert result.prediction.maps.probability[cube(PLACE_MM, 8.0)].min() > 0.5


def test_only_a_known_onset_gives_hours():
    assert hours_since_onset(ClinicalFacts(onset_known=True, hours_since_last_known_well=7.5)) == 7.5
    assert hours_since_onset(ClinicalFacts(hours_since_last_known_well=7.5)) is None
    assert hours_since_onset(ClinicalFacts(onset_known=False, hours_since_last_known_well=7.5)) is None
    assert hours_since_onset(ClinicalFacts()) is None
