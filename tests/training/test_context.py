"""Context inputs: training and prediction see the same values, and priors are borrowed from the same artery."""

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from adumbra.core.atlas.deformation import DEGREES, Deformation
from adumbra.core.atlas.head_context import HeadContext
from adumbra.core.atlas.upstream import mirrored_shares
from adumbra.core.atlas.vessels import SEGMENTS
from adumbra.core.errors import InputRejected, MissingInput, WeightsRejected
from adumbra.core.options import InferenceConfig
from adumbra.inference.model_input import model_input
from adumbra.inference.protocols import NetworkConfig, Window
from adumbra.networks.crossmodal import CrossModalConfig, LateAverageConfig
from adumbra.networks.registry import load, network_of, transferred_weights
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.unet_config import UNetConfig
from adumbra.pipeline import predict_case
from adumbra.posterior.test_time_augmentation import TestTimeAugmentation
from adumbra.posterior.upstream import with_upstream_prior
from adumbra.preprocessing.pipeline import align_case, preprocess
from adumbra.segmentation_model import load_model
from adumbra.training.augment import augment
from adumbra.training.cache import CacheConfig, cache_cases
from adumbra.training.config import TrainConfig
from adumbra.training.context import context_path, read_context
from adumbra.training.context_files import PartSource, _Donor, _part_context, _write, write_contexts
from adumbra.training.inputs import input_channels
from adumbra.training.loop import sample_batch, train
from adumbra.training.objective import Batch
from adumbra.training.patches import open_cached_case, sample_patch
from adumbra.training.plan import planned
from adumbra.training.state import _require_same_order
from training.blobs import BlobRef, blob_case
from training.test_mirror import NOTHING

MODALITIES = ("dwi", "adc")
INPUTS = ("coordinates", "vessels", "upstream")
CONFIG = UNetConfig(modalities=MODALITIES, widths=(8, 16), dropout=0.1, context=INPUTS)
CACHE = CacheConfig(modalities=MODALITIES, spacing_mm=2.0, least_side=16)


def context(seed=0):
    """A bent head whose voxels of 2 mm lie in the middle of the template."""
    rng = np.random.default_rng(seed)
    affine = np.diag([2.5, 2.5, 2.5, 1.0])
    affine[:3, 3] = (-60, -75, -45)
    shares = rng.random((len(SEGMENTS), 2)).astype(np.float32)
    shares[0] = 0
    return HeadContext(Deformation(affine, rng.normal(0, 2, (3, len(DEGREES)))), shares)


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """A cached case with a context, and the network case that prediction makes of the same files."""
    (path,) = cache_cases([BlobRef(3)], tmp_path_factory.mktemp("cache"), CACHE)
    _write(path, {}, context())
    _, network_case = preprocess(blob_case(3), target="lesion", modalities=MODALITIES, spacing_mm=2.0)
    return open_cached_case(path), replace(network_case, context=context())


@pytest.mark.parametrize("inputs", [INPUTS, ("vessels",), ("coordinates", "upstream")])
def test_training_and_prediction_see_the_same_context(cached, inputs):
    case, network_case = cached
    config = replace(CONFIG, context=inputs)
    volume = model_input(network_case, config, spacing_mm=2.0, side=16, overlap=0.25)
    stored = input_channels(case, config)
    assert stored.shape == volume.channels.shape
    assert len(stored) == config.image_channels
    np.testing.assert_allclose(stored[2:], volume.channels[2:], atol=1e-6)
    assert all(np.ptp(channel) > 0.1 for channel in stored[2:])


def test_mirror_images_stand_before_the_context(cached):
    case, network_case = cached
    config = replace(CONFIG, mirrored=True)
    placed = replace(network_case, reflection=np.diag([-1.0, 1.0, 1.0, 1.0]) + np.eye(4, k=3) * [[46], [0], [0], [0]])
    channels = model_input(placed, config, spacing_mm=2.0, side=16, overlap=0.25).channels
    assert len(channels) == config.image_channels == 11
    np.testing.assert_allclose(channels[4:], input_channels(case, CONFIG)[2:], atol=1e-6)
    assert channels[2].any()


def patch_with(case, *, inputs=INPUTS, seed=2, context_rng=None):
    rng = np.random.default_rng(seed)
    return sample_patch(case, rng, side=16, spacing_mm=2.0, inputs=inputs, context_rng=context_rng)


def test_a_patch_is_a_part_of_the_whole_up_to_the_jitter(cached):
    case, _ = cached
    plain, exact = patch_with(case, inputs=()), patch_with(case)
    assert plain.context is None
    np.testing.assert_array_equal(plain.channels, exact.channels)
    whole = input_channels(case, CONFIG)
    boxes = (np.s_[:, i : i + 16, j : j + 16, k : k + 16] for i, j, k in np.ndindex(*(n - 15 for n in case.shape)))
    (box,) = (box for box in boxes if np.array_equal(whole[:2][box], plain.channels[0]))
    np.testing.assert_allclose(exact.context[0, :3], whole[2:5][box], atol=2e-3)  # interpolated between other nodes
    np.testing.assert_allclose(exact.context[0, 3:5], whole[5:7][box], atol=0.02)
    assert np.isclose(exact.context[0, 5:], whole[7:][box]).mean() > 0.98  # a label may change at its border
    moved = [patch_with(case, context_rng=np.random.default_rng(seed)) for seed in range(40)]
    for patch in moved:
        np.testing.assert_array_equal(patch.channels, plain.channels)
        assert 0 < np.abs(patch.context - exact.context)[:, :3].max() < 0.15
    absent = [not patch.context[:, 5:].any() for patch in moved]
    assert 2 < sum(absent) < 20


def test_the_context_is_flipped_with_the_images(cached):
    case, _ = cached
    patch = patch_with(case)
    for rates, axes, sign in (({"mirror": 1.0}, 2, -1), ({"flip": 1.0}, (3, 4), 1)):
        options = {"modalities": MODALITIES, "augmentation": replace(NOTHING, **rates), "inputs": INPUTS}
        changed = augment(patch, np.random.default_rng(0), **options)
        np.testing.assert_array_equal(changed.channels, np.flip(patch.channels, axes))
        np.testing.assert_array_equal(changed.context[:, 1:], np.flip(patch.context, axes)[:, 1:])
        np.testing.assert_array_equal(changed.context[:, 0], sign * np.flip(patch.context, axes)[:, 0])


def test_cards_of_networks_without_context_are_unchanged():
    assert "context" not in UNetConfig().as_json()
    assert UNetConfig.from_json(json.loads(json.dumps(CONFIG.as_json()))) == CONFIG
    assert load("thrombus").network.config.context == ()
    assert "context" not in TrainConfig().identity()["network"]


def test_a_network_takes_the_inputs_in_order_and_a_network_of_single_modalities_takes_none():
    assert isinstance(CONFIG, NetworkConfig)
    for config in (CONFIG, StridedUNetConfig(MODALITIES, widths=(4, 8), context=("vessels",))):
        x = torch.zeros(1, config.image_channels, 8, 8, 8)
        assert network_of(config)(x, torch.ones(1, 2)).shape == (1, 1, 8, 8, 8)
    with pytest.raises(ValueError, match="in order"):
        UNetConfig(context=("upstream", "coordinates"))
    for config in (CrossModalConfig, LateAverageConfig):
        with pytest.raises(ValueError, match="context"):
            config(MODALITIES, context=("vessels",))


def test_weights_without_context_start_a_network_that_ignores_it():
    source, network = network_of(replace(CONFIG, context=())).eval(), network_of(CONFIG).eval()
    network.load_state_dict(transferred_weights(source.state_dict(), network))
    x, present = torch.randn(1, 9, 8, 8, 8), torch.ones(1, 2)
    with torch.no_grad():
        torch.testing.assert_close(network(x, present), source(x[:, :2], present))


@pytest.mark.parametrize(
    ("source", "own", "refused"),
    [
        ({}, {"context": INPUTS}, False),
        ({}, {"context": INPUTS, "mirrored": True}, False),
        ({"context": INPUTS[:1]}, {"context": INPUTS}, False),
        ({"context": INPUTS[1:2]}, {"context": INPUTS}, True),
        ({"context": INPUTS[:1]}, {"context": INPUTS, "mirrored": True}, True),
        ({"context": INPUTS[:1]}, {}, True),
    ],
)
def test_initial_weights_whose_channels_stand_elsewhere_are_refused(source, own, refused):
    plain = replace(CONFIG, context=())
    with pytest.raises(WeightsRejected, match="context") if refused else nullcontext():
        _require_same_order(replace(plain, **source), replace(plain, **own), "weights.safetensors")


def test_test_time_augmentation_leaves_the_context_as_it_is_but_for_its_side():
    network, x = network_of(CONFIG).eval(), torch.randn(1, 9, 8, 8, 8)
    signs = torch.ones(1, 9, 1, 1, 1)
    signs[0, 2] = -1
    for present, gain in ((torch.ones(1, 2), 0.0), (torch.zeros(1, 2), 0.7)):  # an absent image has no intensity
        flip = TestTimeAugmentation(flip=(1.0, 0.0, 0.0), gain=gain, shift=gain)
        available = torch.cat([present, torch.ones(1, 7)], dim=1).view(1, 9, 1, 1, 1)
        with torch.no_grad():
            draw = flip.sample(network, np.random.default_rng(0), (8, 8, 8))(
                network, Window((x,), present, (slice(0, 8),) * 3)
            )
            expected = torch.flip(network(torch.flip(x * available, [2]) * signs, present), [2])
        torch.testing.assert_close(draw, expected)


def test_a_cache_without_affine_or_context_is_refused_when_it_is_needed(cached):
    case, network_case = cached
    assert input_channels(replace(case, affine=None, context=None), replace(CONFIG, context=())).shape[0] == 2
    with pytest.raises(InputRejected, match="earlier version"):
        input_channels(replace(case, affine=None), CONFIG)
    with pytest.raises(MissingInput, match="write_contexts"):
        patch_with(replace(case, context=None))
    with pytest.raises(MissingInput, match="in_atlas=True"):
        model_input(replace(network_case, context=None), CONFIG, spacing_mm=2.0, side=16, overlap=0.25)


M1_LEFT = np.array([-24.0, 3.0, -14.0])


def place_at(point_mm, at_mm=M1_LEFT):
    """A head that is so small in the template that its whole brain lies within millimetres of a place."""
    affine = np.diag([0.05, 0.05, 0.05, 1.0])
    affine[:3, 3] = at_mm - 0.05 * np.asarray(point_mm)
    return Deformation(affine, np.zeros((3, len(DEGREES))))


def shares_of(value):
    return np.full((len(SEGMENTS), 2), value, np.float32)


@dataclass(frozen=True)
class PartRef(BlobRef):
    """A synthetic part of a head."""

    head: str = "head"

    def place_head(self):
        return place_at((24, 24, 24))


def artery(name, value):
    return _Donor(SEGMENTS.index(name), shares_of(value))


@pytest.mark.parametrize(
    ("lesions", "donors", "expected"),
    [
        (1, [artery("M1 left", 1), artery("M1 right", 2), artery("P1 left", 3)], 1),
        (1, [artery("M1 right", 2), artery("", 4)], None),
        (0, [artery("M1 left", 1), artery("P1 left", 3)], 3),
        (0, [artery("", 4), artery("M1 left", 1)], 4),
        (1, [], None),
    ],
)
def test_a_part_takes_the_prior_of_a_clot_in_the_same_artery(tmp_path, lesions, donors, expected):
    (path,) = cache_cases([PartRef(3, lesions)], tmp_path, CACHE)
    upstream = _part_context(path, place_at((24, 24, 24)), donors, np.random.default_rng(0)).upstream
    assert (None if upstream is None else upstream[1, 0]) == expected


def test_the_mirror_image_of_a_donor_has_its_clot_on_the_other_side():
    donor = _Donor(SEGMENTS.index("M1 left"), context().upstream)
    assert SEGMENTS[donor.mirrored.artery] == "M1 right"
    np.testing.assert_array_equal(donor.mirrored.shares, mirrored_shares(context().upstream))


def test_contexts_are_written_once_and_parts_borrow_from_the_other_side(tmp_path, monkeypatch):
    asked = []

    def whole_context(case, config, *, upstream):
        asked.append((case.name, upstream))
        on_the_right = place_at(whole_clot, M1_LEFT * [-1, 1, 1])
        return HeadContext(on_the_right, np.arange(2 * len(SEGMENTS), dtype=np.float32).reshape(-1, 2))

    cases = [BlobRef(3, 1), PartRef(5, 1)]
    paths = cache_cases(cases, tmp_path, CACHE)
    whole = open_cached_case(paths[0])
    whole_clot = whole.affine[:3, :3] @ whole.sites.mean(axis=0) + whole.affine[:3, 3]
    monkeypatch.setattr("adumbra.training.context_files._whole_context", whole_context)
    for upstream in (False, True, False, True):
        write_contexts(cases, paths, CACHE, upstream=upstream)
    assert asked == [("sub-003", False), ("sub-003", True)], "what holds an upstream prior serves without it too"
    assert isinstance(cases[1], PartSource)
    assert not isinstance(cases[0], PartSource)
    own, borrowed = (read_context(path).upstream for path in paths)
    np.testing.assert_array_equal(borrowed, mirrored_shares(own))
    before = context_path(paths[1]).read_bytes()
    context_path(paths[1]).unlink()
    write_contexts(cases, paths, CACHE)
    assert context_path(paths[1]).read_bytes() == before
    assert open_cached_case(paths[1]).context is not None


def test_a_training_with_context_writes_weights_that_predict(tmp_path, blob_refs, tiny_config):
    config = replace(tiny_config(steps=1, held_out=0), network=CONFIG)
    result = train(blob_refs(1), tmp_path, config)
    assert load(result.weights).network.config == CONFIG
    cases = [open_cached_case(path) for path in sorted((tmp_path / "cache").glob("*.safetensors"))]
    batch = sample_batch(cases, config, 0)
    assert batch.context.shape == (2, 7, 16, 16, 16)
    plain = sample_batch(cases, replace(config, network=replace(CONFIG, context=())), 0)
    np.testing.assert_array_equal(batch.channels, plain.channels)
    assert Batch.from_patches(batch, torch.device("cpu")).network_input(guided=False).shape[1] == 9
    model = load_model("lesion", InferenceConfig(weights=result.weights, posterior="deterministic", draws=1))
    case = predict_case(blob_case(0), model).case
    stored = read_context(cases[0].path)
    np.testing.assert_allclose(case.context.deformation.affine, stored.deformation.affine)
    np.testing.assert_array_equal(case.context.upstream, stored.upstream)  # one function for both


def test_a_plan_counts_the_channels_of_the_context(tiny_config):
    plans = [
        planned(replace(tiny_config(), network=network), cases=3) for network in (replace(CONFIG, context=()), CONFIG)
    ]
    assert plans[1].parameters - plans[0].parameters == 7 * 8 * (27 + 1)  # a convolution of 3³ and a shortcut


def test_a_case_without_dwi_has_a_place_and_no_prior():
    case = align_case(blob_case(1, modalities=("adc",)), target="lesion", modalities=MODALITIES, in_atlas=True)
    assert with_upstream_prior(case).context.upstream is None
    with pytest.raises(MissingInput, match="in_atlas=True"):
        with_upstream_prior(replace(case, context=None))
