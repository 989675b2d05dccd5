"""Refinement: which windows are read, how they are blended, and that a full second pass is a prediction of the head."""

import gc
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from adumbra.core.case import Case, Scan
from adumbra.core.errors import GridMismatch, MissingInput, WeightsRejected
from adumbra.core.geometry.components import dilate
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample
from adumbra.core.options import ComputeConfig, InferenceConfig, RefinementConfig, SelectionConfig
from adumbra.core.rng import children
from adumbra.fusion.refinement.blending import Blend, blended_probability
from adumbra.fusion.refinement.posterior import RefinedPosterior
from adumbra.fusion.refinement.refined_case import SecondPass, branch
from adumbra.fusion.refinement.selection import BLOCKS, block_map, covered_share, select_windows
from adumbra.fusion.refinement.uncertainty import first_pass_error, first_pass_uncertainty
from adumbra.fusion.refinement.windows import FineWindows, WindowSize, covering_windows
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.networks.registry import LoadedNetwork, network_of
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import Card
from adumbra.posterior.refined import refinement_of, window_size
from adumbra.posterior.registry import posterior_of
from adumbra.preprocessing.normalisation import normalise
from adumbra.preprocessing.regions import RegionReader
from adumbra.preprocessing.resampling import resample_case

SHAPE = (32, 28, 24)
GRID = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
SIZE = WindowSize(2.0, 16)
CONFIG = UNetConfig(modalities=("dwi", "adc"), widths=(4, 8), dropout=0.3)
CELL = SIZE.side // BLOCKS


def ball(centre, radius, grid=GRID):
    index = np.indices(grid.shape).transpose(1, 2, 3, 0)
    return np.linalg.norm(grid.world_mm(index) - GRID.world_mm(centre), axis=-1) <= radius


BRAIN = ball((16, 14, 12), 18.0)
BLOB = ball((11, 14, 12), 4.0)


def trained_network(seed=0, *, spacing_mm=2.0, patch=16, targets=("lesion",)):
    torch.manual_seed(seed)
    network = network_of(replace(CONFIG, targets=targets))
    for name, parameter in network.named_parameters():
        if parameter.ndim == 5 or name.endswith("output.weight"):
            torch.nn.init.normal_(parameter, std=0.2)
    card = Card("random", "", "unet", network.config.as_json(), spacing_mm, patch, 0.5)
    return LoadedNetwork(network.eval().requires_grad_(False), card)


def case_on(grid=GRID, *, truth=None, offset=0.0):
    rng = np.random.default_rng(1)
    scans = {m: Scan((rng.normal(0, 1, grid.shape) + offset).astype(np.float32), grid, grid) for m in ("dwi", "adc")}
    masks = {"brain": Scan(ball((16, 14, 12), 18.0, grid), grid, grid)}
    if truth is not None:
        masks["lesion"] = Scan(truth, grid, grid)
    return Case("random", scans, masks)


def refined(selection=None, *, weight=1.0, first="dropout", second="dropout", seeds=(1,)):
    compute = ComputeConfig(window=SIZE.side, precision="f32")
    seconds = [trained_network(seed) for seed in seeds]
    return RefinedPosterior(
        posterior_of([trained_network(0)], first, compute=compute),
        posterior_of(seconds, second, compute=compute),
        SIZE,
        selection or SelectionConfig(most=3),
        weight,
    )


class Pointwise:
    """A posterior whose logit is the DWI, shifted by each draw: the result cannot depend on where windows lie."""

    targets, state, methods = ("lesion",), {"approximation": "pointwise"}, ()

    def prepare(self, case, guidance=None):  # noqa: ARG002 (the protocol's)
        return PointwiseCase(case.scans["dwi"].data)

    def draws(self, case, n, generator):
        return self.prepare(case).draws(n, generator)

    def deterministic(self, case):
        return self.prepare(case).deterministic()


class PointwiseCase:
    """A case prepared by ``Pointwise``."""

    def __init__(self, logits):
        self.logits = logits

    def deterministic(self):
        return expit(self.logits).astype(np.float32)

    def draw(self, generator):
        return expit(self.logits + generator.normal()).astype(np.float32)

    def draws(self, n, generator):
        return map(self.draw, children(generator, n))

    def attention_maps(self):
        return None

    def structure_maps(self):
        return {}


def pointwise(selection=None, **settings):
    return RefinedPosterior(Pointwise(), Pointwise(), SIZE, selection or SelectionConfig(most=3), **settings)


def draws(posterior, n, seed=0):
    return list(posterior.draws(case_on(), n, np.random.default_rng(seed)))


def choose(quantity, **settings):
    region = dilate(BRAIN, GRID, by_mm=BEYOND_BRAIN_MM)
    selection = SelectionConfig(**{"most": 1, **settings})
    return select_windows(quantity.astype(np.float32), BRAIN, region, GRID, size=SIZE, selection=selection)


# Selection


@pytest.mark.parametrize("pooling", ["sum", "max"])
def test_one_window_covers_an_uncertain_blob(pooling):
    choice = choose(0.5 * BLOB, pooling=pooling)
    assert len(choice.windows.corners) == 1
    if pooling == "sum":
        assert choice.covered_share == 1.0
        assert choice.windows.covered(GRID)[BLOB].all()
    assert choice.cost == 1 / choice.all_windows


def test_windows_follow_the_uncertainty_and_stop_at_the_share():
    quantity = 1.0 * ball((11, 14, 12), 4.0) + 0.4 * ball((21, 14, 12), 4.0)
    first = choose(quantity, share=0.6)
    both = choose(quantity, most=9, share=1.0)
    assert len(first.windows.corners) == 1
    assert first.windows.covered(GRID)[BLOB].all()
    assert both.covered_share == pytest.approx(1.0)
    assert 2 <= len(both.windows.corners) <= 4
    assert both.windows.corners[0] == first.windows.corners[0]


def test_windows_are_not_read_almost_twice():
    choice = choose(BRAIN, most=40, share=1.0)
    corners = np.array(choice.windows.corners)
    apart = np.abs(corners[:, None] - corners[None]).max(axis=-1) + 1000 * np.eye(len(corners))
    assert apart.min() >= 3 * CELL
    assert choice.covered_share == pytest.approx(1.0)


def test_random_windows_are_as_many_inside_the_brain_and_follow_the_seed():
    uncertain = choose(BLOB | ball((21, 14, 12), 4.0), most=5, share=1.0)
    one, same, other = (
        choose(BLOB | ball((21, 14, 12), 4.0), rule="random", most=5, share=1.0, seed=s) for s in (0, 0, 1)
    )
    assert len(one.windows.corners) == len(uncertain.windows.corners) > 1
    assert one.windows.corners == same.windows.corners != other.windows.corners
    centres = np.array(one.windows.corners) + SIZE.side // 2
    assert dilate(BRAIN, GRID, by_mm=2.0 * CELL)[tuple(centres.T)].all()


def test_many_random_windows_are_still_as_many():
    uncertain, random = (choose(BRAIN, rule=rule, most=60, share=1.0) for rule in ("uncertain", "random"))
    assert len(random.windows.corners) == len(uncertain.windows.corners)
    assert len(set(random.windows.corners)) == len(random.windows.corners)


def test_nothing_uncertain_reads_nothing():
    choice = choose(np.zeros(SHAPE))
    assert choice.windows.corners == ()
    assert np.isnan(choice.covered_share)
    assert choose(BLOB, rule="none").windows.corners == ()


def test_a_full_pass_covers_the_region():
    choice = choose(BLOB, rule="all")
    assert choice.windows.covered(GRID)[dilate(BRAIN, GRID, by_mm=BEYOND_BRAIN_MM)].all()
    assert choice.cost == 1.0


@pytest.mark.parametrize("spacing_mm", [1.5, 2.0])
def test_blocks_hold_all_of_the_quantity(spacing_mm):
    fine = respaced(GRID, (spacing_mm,) * 3)
    quantity = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    blocks = block_map(quantity, BRAIN, GRID, fine, side=16, pooling="sum")
    assert blocks.values.sum() == pytest.approx(quantity[BRAIN].sum(), rel=1e-5)
    assert covered_share(blocks, []) == 0.0
    assert block_map(quantity, BRAIN, GRID, fine, side=16, pooling="max").values.max() == quantity[BRAIN].max()


# Uncertainty


def test_uncertainty_by_hand():
    brain = np.ones((2, 1, 1), dtype=bool)
    first, second = (np.array(p, dtype=np.float32).reshape(2, 1, 1) for p in ([0.0, 0.5], [1.0, 0.5]))
    entropy, mean = first_pass_uncertainty([first, second], brain, measure="entropy")
    disagreement, _ = first_pass_uncertainty([first, second], brain, measure="disagreement")
    assert entropy.ravel() == pytest.approx([np.log(2), np.log(2)])
    assert disagreement.ravel() == pytest.approx([np.log(2), 0.0])
    assert mean.ravel() == pytest.approx([0.5, 0.5])


def test_quiet_voxels_do_not_count():
    brain = np.ones((1, 1, 1), dtype=bool)
    entropy, _ = first_pass_uncertainty([np.full((1, 1, 1), 0.005, np.float32)], brain, measure="entropy")
    assert entropy.item() == 0.0


def test_the_oracle_reads_the_errors_and_needs_the_truth():
    probability = (0.9 * BLOB).astype(np.float32)
    truth = ball((21, 14, 12), 4.0)
    error = first_pass_error(probability, case_on(truth=truth), target="lesion")
    assert np.array_equal(error > 0, BLOB ^ truth)
    with pytest.raises(MissingInput):
        first_pass_error(probability, case_on(), target="lesion")


# Blending


def test_log_odds_by_hand():
    first, second = np.array([0.5, 0.5, 0.0, 0.2], np.float32), np.array([0.9, 0.9, 0.0, 0.7], np.float32)
    mean = blended_probability(first, second, np.array([0.5, 0.0, 0.5, 1.0]))
    assert mean == pytest.approx([3 / (3 + 1), 0.5, 0.0, 0.7], abs=1e-6)  # odds 1 and 9 have the mean 3


def test_a_window_replaces_its_centre_and_leaves_what_lies_outside():
    windows = FineWindows(GRID, 16, ((5, 6, 4),))
    region = np.ones(SHAPE, dtype=bool)
    first = np.full(SHAPE, 0.3, dtype=np.float32)
    result = Blend(windows, GRID, region, weight=1.0)(first, [np.full((16,) * 3, 0.8, np.float32)])
    assert result[13, 14, 12] == np.float32(0.8)
    assert np.array_equal(result[~windows.covered(GRID)], first[~windows.covered(GRID)])
    profile = result[5:14, 14, 12]
    assert (np.diff(profile) >= 0).all()
    assert 0.3 <= profile[0] < 0.55
    assert (first == np.float32(0.3)).all(), "the first pass is not changed"


def test_a_window_may_cross_the_border():
    windows = FineWindows(GRID, 16, ((-6, 6, 16),))
    region = np.ones(SHAPE, dtype=bool)
    pieces = [np.full((16,) * 3, 0.8, np.float32)]
    result = Blend(windows, GRID, region, weight=1.0)(np.full(SHAPE, 0.3, np.float32), pieces)
    assert result.shape == SHAPE
    assert result[2, 14, 22] == np.float32(0.8), "no other window could read it"
    assert windows.covered(GRID).sum() == 10 * 16 * 8


def test_a_finer_window_is_blended_on_the_coarse_grid():
    fine = respaced(GRID, (1.5,) * 3)
    corner = tuple(round(n) for n in fine.index(GRID.world_mm((8, 8, 8))))
    values = np.broadcast_to(np.linspace(0.2, 0.8, 16, dtype=np.float32)[:, None, None], (16,) * 3)
    windows = FineWindows(fine, 16, (corner,))
    result = Blend(windows, GRID, np.ones(SHAPE, dtype=bool), weight=1.0)(np.zeros(SHAPE, np.float32), [values])
    centre = tuple(round(n) for n in GRID.index(fine.world_mm(np.array(corner) + 7.5)))
    index = fine.index(GRID.world_mm(centre))[0] - corner[0]
    assert result[centre] == pytest.approx(np.interp(index, range(16), np.linspace(0.2, 0.8, 16)), abs=0.01)


# The posterior


def test_none_is_the_first_pass_to_the_last_bit():
    posterior = refined(SelectionConfig(rule="none"))
    alone = draws(posterior.first, 3)
    assert [v.tobytes() for v in draws(posterior, 3)] == [v.tobytes() for v in alone]
    assert posterior.deterministic(case_on()).tobytes() == posterior.first.deterministic(case_on()).tobytes()


def test_weight_0_is_the_first_pass_to_the_last_bit():
    posterior = refined(weight=0.0)
    assert posterior.prepare(case_on()).windows
    assert [v.tobytes() for v in draws(posterior, 2)] == [v.tobytes() for v in draws(posterior.first, 2)]


@pytest.mark.parametrize("second", ["deterministic", "dropout"])
def test_all_is_a_full_second_pass(second):
    posterior = refined(SelectionConfig(rule="all"), second=second)
    whole = posterior.second.deterministic(case_on())
    assert np.abs(posterior.deterministic(case_on()) - whole).max() < 2e-5
    assert np.abs(posterior.deterministic(case_on()) - posterior.first.deterministic(case_on())).max() > 0.05


def test_refinement_changes_the_windows_only():
    posterior = refined(SelectionConfig(most=1))
    prepared = posterior.prepare(case_on())
    covered = prepared.choice.windows.covered(GRID)
    first, result = posterior.first.deterministic(case_on()), prepared.deterministic()
    assert np.array_equal(first[~covered], result[~covered])
    assert np.abs(first - result)[covered].max() > 0.02


def test_each_draw_is_refined_by_one_draw_in_all_windows():
    """A full second pass whose draws shift all logits alike: no seam between windows, and another shift each time."""
    posterior = pointwise(SelectionConfig(rule="all"))
    inside = BRAIN
    shifts = [logit(v[inside].astype(np.float64)) - case_on().scans["dwi"].data[inside] for v in draws(posterior, 2)]
    assert [shift.std() for shift in shifts] == pytest.approx([0.0, 0.0], abs=1e-4)
    assert abs(shifts[0].mean() - shifts[1].mean()) > 0.01
    first = [v[inside] for v in draws(posterior.first, 2)]
    assert not np.allclose(first[0], draws(posterior, 1)[0][inside]), "the second pass has a generator of its own"


def test_draws_follow_the_seed_and_continue():
    posterior = pointwise(SelectionConfig(rule="all"))
    one, same, other = draws(posterior, 3, 5), draws(posterior, 3, 5), draws(posterior, 3, 6)
    assert [v.tobytes() for v in one] == [v.tobytes() for v in same]
    assert one[0].tobytes() != other[0].tobytes()
    generator, prepared = np.random.default_rng(5), posterior.prepare(case_on())
    parts = [*prepared.draws(1, generator), *prepared.draws(2, generator)]
    assert [v.tobytes() for v in parts] == [v.tobytes() for v in one]


def test_one_draw_is_that_of_its_generator():
    prepared = pointwise(SelectionConfig(rule="all")).prepare(case_on())
    one, same, other = (prepared.draw(np.random.default_rng(seed)) for seed in (2, 2, 3))
    assert one.tobytes() == same.tobytes() != other.tobytes()


def test_a_branch_accompanies_the_children():
    parent, again = np.random.default_rng(1), np.random.default_rng(1)
    later = [child.normal() for child in children(branch(parent), 3)]
    assert [child.normal() for child in children(parent, 3)] == [child.normal() for child in children(again, 3)]
    again = np.random.default_rng(1)
    list(children(again, 2))
    assert next(children(branch(again), 1)).normal() == later[2]


def test_members_of_the_second_pass_take_turns():
    posterior = refined(first="deterministic", second="deterministic", seeds=(1, 2))
    one, two, three = draws(posterior, 3)
    assert not np.array_equal(one, two)
    assert np.array_equal(one, three)


def test_memory_stays_flat():
    prepared = pointwise().prepare(case_on())

    def peak(n):
        gc.collect()
        tracemalloc.start()
        for volume in prepared.draws(n, np.random.default_rng(0)):
            volume.sum()
        gc.collect()
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result / (4 * np.prod(SHAPE))

    peak(1)
    assert peak(24) < peak(4) + 2


def test_its_state_is_plain_values():
    state = refined(seeds=(1, 2)).state
    assert json.loads(json.dumps(state)) == dict(state)
    assert state["refinement"]["windows"] == {"spacing_mm": 2.0, "side": 16}


def test_windows_of_another_spacing_and_other_targets_are_refused():
    posterior = replace(refined(), windows=WindowSize(1.5, 16))
    with pytest.raises(GridMismatch, match=r"1\.5 mm"):
        posterior.prepare(case_on())
    with pytest.raises(WeightsRejected):
        replace(posterior, second=posterior_of([trained_network(1, targets=("thrombus",))], "deterministic"))


# Trained networks, and the case at the scan's own resolution


def test_networks_of_one_training_grid_make_a_second_pass():
    networks = [trained_network(1, spacing_mm=1.5), trained_network(2, spacing_mm=1.5)]
    refinement = refinement_of(networks, RefinementConfig("x"), target="lesion", first_members=5)
    assert refinement.second_pass.size == WindowSize(1.5, 16)
    assert refinement.second_pass.selection.draws == 5
    with pytest.raises(WeightsRejected, match="one spacing"):
        window_size([*networks, trained_network(3)])


@pytest.mark.parametrize("values", [{"most": -1}, {"share": 0.0}, {"share": 1.5}])
def test_limits_that_mean_nothing_are_refused(values):
    with pytest.raises(ValueError, match="expected"):
        SelectionConfig(**values)
    with pytest.raises(ValueError, match="expected"):
        RefinementConfig("x", weight=2.0)


def aligned_case():
    grid = Grid((40, 44, 18), np.array([[1.8, 0.1, 0, 3], [-0.1, 1.8, 0, 5], [0, 0, 4.4, -7], [0, 0, 0, 1.0]]))
    rng = np.random.default_rng(3)
    brain = np.zeros(grid.shape, dtype=bool)
    brain[8:32, 8:36, 4:14] = True
    valid = np.ones(grid.shape, dtype=bool)
    valid[:, :, -2:] = False
    scans = {
        "dwi": Scan(rng.gamma(2.0, 50.0, grid.shape).astype(np.float32), grid, grid),
        "adc": Scan(rng.normal(0.8, 0.2, grid.shape).astype(np.float32), grid, grid, valid_mask=valid),
        "phase": Scan(rng.uniform(-3, 3, grid.shape).astype(np.float32), grid, grid),
    }
    return Case("aligned", scans, {"brain": Scan(brain, grid, grid)})


def test_a_part_that_is_read_is_the_part_of_the_whole():
    aligned = aligned_case()
    for spacing_mm in (1.5, 3.0):
        fine = respaced(aligned.grid, (spacing_mm,) * 3)
        whole = normalise(resample_case(aligned, fine))
        read = RegionReader(aligned, spacing_mm)
        grid = next(FineWindows(fine, 12, ((5, 4, 3),)).grids())
        part = read(grid)
        for modality, scan in whole.scans.items():
            expected = scan.data[5:17, 4:16, 3:15]
            assert np.abs(part.scans[modality].data - expected).max() < 1e-4, (modality, spacing_mm)


def test_a_part_has_the_mirror_images_of_the_other_side():
    reflection = np.diag([-1.0, 1.0, 1.0, 1.0])
    reflection[0, 3] = 78.0
    read = RegionReader(replace(aligned_case(), reflection=reflection), 1.5)
    grid = next(FineWindows(respaced(aligned_case().grid, (1.5,) * 3), 12, ((5, 8, 6),)).grids())
    part, other_side = read(grid), read(Grid(grid.shape, reflection @ grid.affine))
    assert np.abs(part.mirrors["dwi"].data - other_side.scans["dwi"].data).max() < 1e-4
    assert np.abs(part.mirrors["dwi"].data - part.scans["dwi"].data).max() > 0.1
    assert not RegionReader(aligned_case(), 1.5)(grid).mirrors


def test_windows_of_the_same_grid_have_mirror_images_too():
    reflection = np.diag([-1.0, 1.0, 1.0, 1.0])
    reflection[0, 3] = 62.0
    case = replace(case_on(), reflection=reflection)
    cases = []
    second = Pointwise()
    second.prepare = lambda window: cases.append(window) or PointwiseCase(window.scans["dwi"].data)
    replace(pointwise(SelectionConfig(rule="all")), second=second).prepare(case)
    window = cases[0]
    index = np.round(GRID.index(window.grid.world_mm((0, 0, 0)))).astype(int)
    x, y, z = (slice(n, n + 16) for n in index)
    assert np.allclose(window.mirrors["dwi"].data, case.scans["dwi"].data[::-1][x, y, z], atol=1e-5)


def test_a_part_beyond_the_image_is_zero():
    aligned = aligned_case()
    fine = respaced(aligned.grid, (1.5,) * 3)
    part = RegionReader(aligned, 1.5)(next(FineWindows(fine, 12, ((-6, 4, 3),)).grids()))
    assert (part.scans["dwi"].data[:5] == 0).all()
    assert np.abs(part.scans["dwi"].data[7:]).max() > 0
    beyond = RegionReader(aligned, 1.5)(next(FineWindows(fine, 12, ((-90, 4, 3),)).grids()))
    assert (beyond.scans["adc"].data == 0).all()


def test_a_full_second_pass_at_another_spacing_is_a_prediction_at_that_spacing():
    """First pass on the grid of the scan, second pass at 1.5 mm."""
    aligned = aligned_case()
    second = SecondPass(Pointwise(), WindowSize(1.5, 16), SelectionConfig(rule="all"), 1.0, "lesion")
    region = dilate(aligned.masks["brain"].data, aligned.grid, by_mm=BEYOND_BRAIN_MM)
    read = RegionReader(aligned, 1.5)
    result = second.refine(Pointwise().prepare(aligned), aligned, read, region=region).deterministic()
    fine = normalise(resample_case(aligned, respaced(aligned.grid, (1.5,) * 3)))
    expected = resample(Pointwise().deterministic(fine), fine.grid, aligned.grid)
    inside = aligned.masks["brain"].data
    assert np.abs(result - expected)[inside].max() < 1e-3
    assert (result[~region] == Pointwise().deterministic(aligned)[~region]).all()


def test_options_without_a_second_pass_are_those_of_before():
    assert InferenceConfig().refinement is None


def test_windows_of_a_full_pass_are_those_of_a_prediction():
    region = dilate(BRAIN, GRID, by_mm=BEYOND_BRAIN_MM)
    windows = covering_windows(region, GRID, SIZE)
    posterior = posterior_of([trained_network(0)], "deterministic", compute=ComputeConfig(window=SIZE.side))
    assert len(windows.corners) == len(posterior.prepare(case_on()).inference.boxes)
