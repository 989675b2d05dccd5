"""From candidates of a first pass to a trained second look, its decision, and a prediction, with tiny networks."""

import json
import shutil
from dataclasses import asdict, replace

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from adumbra.core.errors import InputRejected, OutputRefused, WeightsRejected
from adumbra.core.options import InputOptions
from adumbra.experiments.calibration_samples import model_identity
from adumbra.experiments.candidate_calibration import calibrate_candidates
from adumbra.networks.registry import load
from adumbra.networks.second_look import MAPS, SecondLookConfig, SecondLookNetwork
from adumbra.pipeline import predict, predict_case
from adumbra.preprocessing.pipeline import network_case
from adumbra.report.bids import plain
from adumbra.report.stored_predictions import read_predictions
from adumbra.segmentation_model import load_model
from adumbra.training.second_look.batches import ExampleAugmentation, example_refs, read_example, sample_refs
from adumbra.training.second_look.examples import (
    JITTER,
    ExampleOptions,
    cache_examples,
    example_arrays,
    searched_case,
)
from adumbra.training.second_look.loop import train_second_look
from adumbra.training.second_look.state import second_look_loss
from adumbra.uncertainty.calibration.candidate_fit import write_decision
from adumbra.uncertainty.calibration.candidates import ACCEPT_NONE, MissedBlocks


@pytest.fixture(scope="module")
def examples(heads, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    return cache_examples(heads, folder, lambda: model)


@pytest.fixture(scope="module")
def trained(examples, training, tmp_path_factory):
    out = tmp_path_factory.mktemp("training")
    return train_second_look(examples, out, training, facts={"command": "test"})


def test_the_usual_network_is_small():
    network = SecondLookNetwork(SecondLookConfig())
    assert sum(p.numel() for p in network.parameters()) <= 1e6
    assert network.config.image_channels == 8 + len(MAPS)


def test_a_case_has_true_and_false_candidates(heads, model):
    with_clot, without = (searched_case(heads[n], model) for n in (0, 1))
    assert (with_clot.clots[0], with_clot.clot_count) == (1, 1)
    assert len(with_clot.candidates) > 1
    assert without.clots == (0,) * len(without.candidates)
    assert not np.isnan(with_clot.candidates[0].features.vein_excess), "the first pass predicts structures"
    assert set(with_clot.maps.structures) == {"arteries", "veins", "flow"}


class Patch:
    """A head that prepares itself, as a patch of a kept head does."""

    def __init__(self, head):
        self.name, self.head = head.name, head

    def open(self):
        raise AssertionError("a patch is not aligned")

    def network_case(self, *, modalities, spacing_mm, mirrored=False):
        assert not mirrored
        assert set(modalities) == {"swi", "tof"}
        return network_case(self.head.open(), spacing_mm=spacing_mm)


def test_a_patch_gives_the_candidates_of_its_head(heads, model):
    patch, whole = searched_case(Patch(heads[0]), model), searched_case(heads[0], model)
    assert patch.clots[0] == whole.clots[0] == 1
    assert patch.candidates[0].features.position_mm == pytest.approx(whole.candidates[0].features.position_mm)
    arrays = [example_arrays(case, model, ExampleOptions(most_false=0)) for case in (patch, whole)]
    assert len(arrays[0]["true"]) == len(arrays[1]["true"]) == 1, "no false candidate is asked for"
    one, other = (a["contour"].astype(bool) for a in arrays)
    assert 2 * np.count_nonzero(one & other) > 0.8 * (np.count_nonzero(one) + np.count_nonzero(other))
    images = [a["images"][0, 0, 6:16, 6:16, 6:16].astype(np.float64).ravel() for a in arrays]
    assert np.corrcoef(images)[0, 1] > 0.95, "interpolated twice, and in other units"


def test_examples_are_cached_once_and_hold_the_candidates(heads, model, examples, training):
    before = [path.stat().st_mtime_ns for path in examples]
    assert [p.stat().st_mtime_ns for p in cache_examples(heads, examples[0].parent, lambda: model)] == before
    arrays = load_file(examples[0])
    side = training.side + 2 * JITTER
    count = len(arrays["true"])
    assert arrays["images"].shape == (count, 2, side, side, side)
    assert arrays["maps"].shape == (count, 4, side, side, side)
    assert arrays["true"][0] == 1
    assert arrays["contour"][0, side // 2 - 3 : side // 2 + 3].any(), "the clot is in the middle"
    with pytest.raises(InputRejected, match="a name for each"):
        cache_examples([heads[0], heads[0]], examples[0].parent, lambda: model)


def test_an_example_is_moved_and_loses_sequences(examples):
    ref = example_refs(examples)[0]
    plain = read_example(ref, mirrored=True)
    assert plain.channels.shape == (2 + 2 + 5, 16, 16, 16)
    assert not plain.channels[2:4].any(), "mirror images are unknown"
    everything = ExampleAugmentation(flip=0.0, missing=1.0, no_structures=1.0, gain=0.0, noise=0.0)
    changed = read_example(ref, mirrored=True, rng=np.random.default_rng(0), augmentation=everything)
    assert changed.present.sum() == 1, "one sequence remains"
    assert not changed.channels[5:].any(), "arteries, veins, flow and their difference are left out"
    assert changed.channels[4].any()
    only_flip = ExampleAugmentation(flip=1.0, missing=0.0, no_structures=0.0, gain=0.0, noise=0.0)
    seeds = (np.random.default_rng(n) for n in range(200))
    middle = next(
        rng for rng in seeds if (np.random.default_rng(rng.bit_generator.seed_seq).integers(0, 7, 3) == JITTER).all()
    )
    flipped = read_example(ref, mirrored=True, rng=middle, augmentation=only_flip)
    assert np.allclose(flipped.channels[:2], plain.channels[:2, ::-1])
    assert np.allclose(flipped.contour, plain.contour[::-1])


def test_half_of_a_batch_is_true(examples, rng):
    refs = example_refs(examples)
    assert [r.true for r in sample_refs(refs, 4, rng)] == [True, False, True, False]
    assert not any(r.true for r in sample_refs([r for r in refs if not r.true], 3, rng))


def test_the_loss_of_a_batch_by_hand():
    """An undecided class costs ln 2 for each example; the contour of false examples costs nothing."""
    score, contour = torch.zeros(2), torch.full((2, 1, 2, 2, 2), -50.0)
    truth = torch.zeros(2, 1, 2, 2, 2)
    truth[0] = 1.0
    of_class, of_contour = second_look_loss(score, contour, torch.tensor([1.0, 0.0]), truth)
    assert float(of_class) == pytest.approx(np.log(2.0))
    dice = 1.0 - 1.0 / 9.0  # nothing of eight voxels, with the one that keeps the ratio defined
    assert float(of_contour) == pytest.approx(50.0 + dice, rel=1e-5)
    _, nothing = second_look_loss(score, contour, torch.zeros(2), truth)
    assert float(nothing) == 0.0


def test_a_stopped_training_reaches_the_same_weights(examples, training, trained, tmp_path):
    """The folder of a training that was stopped after four steps."""
    lines = (trained.parent / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8]
    short = replace(training, optimiser=replace(training.optimiser, steps=8))
    stopped = tmp_path / "stopped"

    class Stopped(Exception):
        pass

    class StopAfterFour:
        def track(self, items, **_):
            for number, item in enumerate(items):
                if number == 5:
                    raise Stopped
                yield item

    with pytest.raises(Stopped):
        train_second_look(examples, stopped, short, progress=StopAfterFour())
    resumed = train_second_look(examples, stopped, short, facts={"command": "test"})
    expected, again = load_file(trained), load_file(resumed)
    assert all(np.array_equal(expected[name], again[name]) for name in expected)
    with pytest.raises(OutputRefused):
        train_second_look(examples, stopped, replace(training, seed=1))


def test_the_weights_are_those_of_a_second_look(trained, training):
    loaded = load(trained)
    assert loaded.card.architecture == "second-look"
    assert (loaded.card.spacing_mm, loaded.card.patch) == (1.0, 16)
    assert loaded.network.config == training.network
    assert loaded.network.candidate_classification.candidate_rule == training.network.rule
    assert set(loaded.card.training["scores"]) == {"loss", "sensitivity", "specificity", "dice"}


def test_weights_of_a_segmentation_are_no_second_look(config, first_weights):
    with pytest.raises(WeightsRejected, match="second look"):
        load_model("thrombus", replace(config, second_look=first_weights))


@pytest.fixture(scope="module")
def decided(trained, heads, config, tmp_path_factory):
    """A folder of first pass, second look and decision, as they are released."""
    folder = tmp_path_factory.mktemp("released")
    first, look = folder / "first.safetensors", folder / "first.second-look.safetensors"
    shutil.copy(config.weights, first)
    shutil.copy(trained, look)
    named = replace(config, weights=first, second_look=look)
    decision = calibrate_candidates(heads, config=named, work=folder / "work")
    assert calibrate_candidates(heads, config=named, work=folder / "work") == decision, "from its files"
    write_decision(folder / "first.second-look.decision.json", decision)
    return first, decision


def test_the_decision_rests_on_cases_with_and_without_a_clot(decided, heads):
    _, decision = decided
    assert decision.cases == tuple(head.name for head in heads)
    assert decision.false_positives <= 0.5
    assert decision.vein_excess >= 0.0


def test_a_calibration_of_the_volume_sees_decided_candidates(decided, heads, config):
    """``adumbra calibrate`` leaves out the calibration, but not the decision, and its file names all weights."""
    first, decision = decided
    chosen = replace(config, weights=first)
    model = load_model("thrombus", replace(chosen, calibration="none"))
    assert model.second_look.calibration == decision
    assert model.weights == (*decision.weights, *decision.second_look)
    assert model_identity(model)["second_look"] == list(decision.second_look)
    assert "second_look" not in model_identity(replace(model, second_look=None))
    with pytest.raises(InputRejected, match="second look"):
        calibrate_candidates(heads, config=replace(chosen, second_look="none"))


def test_a_second_look_beside_the_weights_decides(decided, heads, config):
    first, decision = decided
    beside = replace(config, weights=first, calibration="beside")
    model = load_model("thrombus", beside)
    assert model.second_look.calibration == decision
    prediction = predict_case(heads[0].open(), model)
    result = prediction.findings.candidates
    assert result.calibrated
    assert prediction.maps.decided
    assert (prediction.maps.threshold, prediction.maps.high_threshold) == (0.5, 0.0)
    assert prediction.maps.mask.any() == bool(result.accepted)
    assert [c.rank for c in result.candidates] == list(range(1, len(result.candidates) + 1))
    unused = load_model("thrombus", replace(beside, second_look="none"))
    assert unused.second_look is None
    assert predict_case(heads[0].open(), unused).findings.candidates is None


def test_report_and_json_hold_the_candidates(decided, heads, config, tmp_path):
    first, decision = decided
    path = first.with_name("first.second-look.decision.json")
    stored = path.read_text()
    case = heads[1].open()
    images = {**case.scans, "brain": case.masks["brain"]}
    files = {name: tmp_path / f"{name}.nii.gz" for name in images}
    for name, scan in images.items():
        nib.save(nib.Nifti1Image(scan.data.astype(np.float32), scan.grid.affine), files[name])
    brain = files.pop("brain")
    outcomes = {}
    try:
        for name, threshold in {"all": 0.0, "none": ACCEPT_NONE}.items():
            blocks = MissedBlocks((), (20,), (2,))
            changed = replace(decision, threshold=threshold, vein_excess=1.0, missed=blocks)
            write_decision(path, changed)
            chosen, inputs = replace(config, weights=first, calibration="beside"), InputOptions(masks={"brain": brain})
            outcomes[name] = predict(files, tmp_path / name, target="thrombus", config=chosen, inputs=inputs)
    finally:
        path.write_text(stored)
    accepted, nothing = (outcomes[name].findings.candidates for name in ("all", "none"))
    assert {c.outcome for c in accepted.candidates} == {"accepted"}
    assert {c.outcome for c in nothing.candidates} == {"rejected"}
    page = outcomes["none"].report.read_text("utf-8")
    assert "A visible clot was missed in 10 of 100 simulated cases" in page
    assert page.count("<td>rejected</td>") == len(nothing.candidates) > 0
    assert not outcomes["none"].prediction.maps.mask.any()
    assert "No voxel reached" not in page
    for name in outcomes:
        ((again, run),) = read_predictions(tmp_path / name)
        assert plain(asdict(again.findings.candidates)) == plain(asdict(outcomes[name].findings.candidates))
        assert again.maps.decided
        assert run.options["second_look"]["accepted"] == len(outcomes[name].findings.candidates.accepted)
        assert "Clopper1934" in run.references
        (written,) = (tmp_path / name).rglob("*_findings.json")
        rows = json.loads(written.read_text())["findings"]["candidates"]["candidates"]
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    contours_ml = sum(c.contour_ml for c in accepted.candidates)
    assert 0 < outcomes["all"].findings.volume_ml.value <= contours_ml + 1e-6, "contours may overlap"


def test_a_decision_of_other_weights_is_not_used(decided, config):
    first, decision = decided
    path = first.with_name("first.second-look.decision.json")
    stored = path.read_text()
    try:
        write_decision(path, replace(decision, posterior="mc-dropout"))
        assert load_model("thrombus", replace(config, weights=first, calibration="beside")).second_look is None
        named = first.with_name("first.second-look.safetensors")
        with pytest.raises(WeightsRejected, match="posterior"):
            load_model("thrombus", replace(config, weights=first, second_look=named, calibration="beside"))
    finally:
        path.write_text(stored)


def test_the_identity_of_a_training_holds_its_options(training):
    assert training.identity()["network"] == asdict(training.network)
    with pytest.raises(InputRejected, match="multiple"):
        replace(training, side=18)
