"""The whole pipeline on a phantom and on the real case with a small untrained network."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from adumbra import assessment, pipeline
from adumbra.core.case_features import CaseFeatures, WidthShares
from adumbra.core.errors import InputRejected, MissingInput, OutputRefused, WeightsRejected
from adumbra.core.options import InferenceConfig, InputOptions
from adumbra.networks.crossmodal import CrossModal, CrossModalConfig
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import save_weights
from adumbra.preprocessing.input_flags import STAGE
from adumbra.report.stored_predictions import read_predictions
from adumbra.simulation import cohort
from adumbra.uncertainty.calibration.conformal import VolumeInterval
from adumbra.uncertainty.calibration.io import Calibration

Predict = Callable[..., pipeline.PredictionOutcome]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network of three narrow levels: everything but what it says is real."""
    torch.manual_seed(0)
    config = UNetConfig(widths=(16, 16, 16), dropout=0.3)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    facts = {"architecture": "unet", "config": config.as_json(), "spacing_mm": 2.0, "patch": 48, "threshold": 0.02}
    save_weights(path, UNet(config).state_dict(), {**facts, "training": {}})
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    cohort.simulate(out, cases=1, seed=5, preset_name="diffusion")
    return out


@pytest.fixture(scope="module")
def subject(dataset: Path) -> Path:
    return dataset / cohort.case_name(5, 0)


@pytest.fixture(scope="module")
def first(
    subject: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pipeline.PredictionOutcome, Path]:
    out = tmp_path_factory.mktemp("first")
    config = InferenceConfig(weights=weights, draws=3, seed=4, registration="never")
    return pipeline.predict(subject, out, config=config), out


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_documented_file_is_written(first: tuple[pipeline.PredictionOutcome, Path]) -> None:
    outcome, out = first
    name = outcome.case
    stem = out / name / "dwi" / f"{name}_label-lesion"
    measures = [
        f"desc-{measure}_uncertainty" for measure in ("entropy", "aleatoric", "epistemic", "variance", "margin")
    ]
    for part in ("mask", "probseg", *measures):
        assert Path(f"{stem}_{part}.nii.gz").is_file(), part
        assert json.loads(Path(f"{stem}_{part}.json").read_text("utf-8"))["Draws"] == 3
    run = json.loads((out / f"{name}_label-lesion_run.json").read_text("utf-8"))
    assert run["seed"] == 4
    assert len(run["weights"]["sha256"]) == 64
    assert set(run["inputs"]) == {"dwi", "adc", "b0", "flair"}
    assert {"load", "preprocess", "sample and summarise", "interpret", "evaluate"} == set(run["timings_s"])
    assert any(c["stage"] == "preprocessing.brain_mask" for c in run["conversions"])
    assert outcome.report.is_file()
    assert (out / "dataset_description.json").is_file()
    assert not list(out.rglob("*_attention*")), "a plain U-Net has no attention"
    assert "attention" not in (out / ".bidsignore").read_text("utf-8")
    assert "Cross-attention" not in outcome.report.read_text("utf-8")


def test_maps_lie_on_the_native_grid_and_hold_the_identities(
    first: tuple[pipeline.PredictionOutcome, Path], subject: Path
) -> None:
    outcome, _ = first
    native = nib.load(next((subject / "dwi").glob("*_trace.nii.gz")))
    maps = {name: nib.load(path) for name, path in outcome.maps.items()}
    for name, image in maps.items():
        assert image.shape == native.shape, name
        assert np.allclose(image.affine, native.affine, atol=1e-4), name
    values = {name: np.asarray(image.dataobj, np.float64) for name, image in maps.items()}
    assert np.allclose(values["entropy"], values["aleatoric"] + values["epistemic"], atol=1e-6)
    assert values["epistemic"].max() > 0, "dropout was not active"
    assert values["variance"].max() > 0
    assert ((values["probseg"] >= 0.02) == (values["mask"] > 0)).all()
    assert outcome.findings.volume_ml.value == pytest.approx(
        values["mask"].sum() * abs(np.linalg.det(native.affine[:3, :3])) / 1000, rel=1e-6
    )


def test_the_width_and_the_case_score_are_written_and_read(first: tuple[pipeline.PredictionOutcome, Path]) -> None:
    """Three draws of one network: their agreement is the score, and their spread, if any, the whole width."""
    outcome, out = first
    ((again, run),) = read_predictions(out)
    findings, features = outcome.findings, outcome.prediction.features
    assert features is not None
    assert findings.score is not None
    assert (features.members, findings.score.members) == ((0, 0, 0), 1)
    assert features.draw_ml == outcome.prediction.draws.volumes_ml
    assert (again.findings.width, again.findings.score, again.features) == (findings.width, findings.score, features)
    expected = None if findings.volume_ml.low == findings.volume_ml.high else WidthShares(0.0, 1.0, 0.0, "draws")
    assert findings.width == expected
    assert run.results["case_score"] == json.loads(json.dumps(asdict(findings.score)))
    assert "Zenk2025" in run.references
    assert "Case score: mean Dice of the draws" in outcome.report.read_text("utf-8")


def test_the_phantom_brings_its_truth(first: tuple[pipeline.PredictionOutcome, Path]) -> None:
    outcome, _ = first
    assert outcome.scores is not None
    assert 0 <= outcome.scores["dice"] <= 1


def test_same_seed_same_bytes_and_another_seed_others(
    first: tuple[pipeline.PredictionOutcome, Path], subject: Path, weights: Path, tmp_path: Path
) -> None:
    _, out = first
    pipeline.predict(
        subject, tmp_path / "again", config=InferenceConfig(weights=weights, draws=3, seed=4, registration="never")
    )
    pipeline.predict(
        subject, tmp_path / "other", config=InferenceConfig(weights=weights, draws=3, seed=5, registration="never")
    )
    before, again, other = _files(out), _files(tmp_path / "again"), _files(tmp_path / "other")
    timed = {name for name in before if name.endswith("_label-lesion_run.json")}  # holds the seconds of each stage
    assert {n: b for n, b in before.items() if n not in timed} == {n: b for n, b in again.items() if n not in timed}
    assert {n for n in before if before[n] != other[n]} >= {n for n in before if n.endswith("probseg.nii.gz")}


def test_the_page_can_be_made_again_byte_for_byte(
    first: tuple[pipeline.PredictionOutcome, Path], tmp_path: Path
) -> None:
    outcome, out = first
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    page = copy / outcome.report.name
    page.unlink()
    assert assessment.report(copy) == (page,)
    assert page.read_bytes() == outcome.report.read_bytes()


def test_report_of_a_folder_without_a_prediction_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"_run\.json"):
        assessment.report(tmp_path)


def test_an_earlier_run_is_not_replaced_unasked(
    first: tuple[pipeline.PredictionOutcome, Path], subject: Path, weights: Path
) -> None:
    _, out = first
    before = _files(out)
    with pytest.raises(OutputRefused, match="--overwrite"):
        pipeline.predict(subject, out, config=InferenceConfig(weights=weights, draws=1))
    assert _files(out) == before


def test_rejected_input_writes_nothing(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInput):
        pipeline.predict(tmp_path / "nobody", tmp_path / "out", config=InferenceConfig(weights=weights))
    assert not (tmp_path / "out").exists()


def test_unknown_weights_are_refused(subject: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsRejected):
        pipeline.predict(subject, tmp_path / "out", config=InferenceConfig(weights="no-such-weights"))
    assert not (tmp_path / "out").exists()


def _scans(subject: Path) -> dict[str, Path]:
    return {
        "dwi": next((subject / "dwi").glob("*_trace.nii.gz")),
        "adc": next((subject / "dwi").glob("*_ADC.nii.gz")),
        "b0": next((subject / "dwi").glob("*_S0map.nii.gz")),
        "flair": next((subject / "anat").glob("*_FLAIR.nii.gz")),
    }


def _probability(outcome: pipeline.PredictionOutcome) -> np.ndarray:
    return np.asarray(nib.load(outcome.maps["probseg"]).dataobj)


def test_a_case_without_flair_runs_and_is_told_apart(
    first: tuple[pipeline.PredictionOutcome, Path], subject: Path, weights: Path, tmp_path: Path
) -> None:
    files = {k: v for k, v in _scans(subject).items() if k != "flair"}
    outcome = pipeline.predict(
        files, tmp_path, config=InferenceConfig(weights=weights, draws=3, seed=4, registration="never")
    )
    assert not np.array_equal(_probability(outcome), _probability(first[0]))


def test_a_case_without_adc_gets_one_from_b0_and_dwi(subject: Path, weights: Path, tmp_path: Path) -> None:
    files = {k: v for k, v in _scans(subject).items() if k in {"dwi", "b0"}}
    outcome = pipeline.predict(files, tmp_path, config=InferenceConfig(weights=weights, draws=1, registration="never"))
    run = json.loads((tmp_path / f"{outcome.case}_label-lesion_run.json").read_text("utf-8"))
    assert any("ADC" in c["what"] and c["subject"] == "adc" for c in run["conversions"])


def test_adc_in_other_units_gives_the_same_segmentation(
    first: tuple[pipeline.PredictionOutcome, Path], subject: Path, weights: Path, tmp_path: Path
) -> None:
    files = _scans(subject)
    image = nib.load(files["adc"])
    scaled = nib.Nifti1Image((np.asarray(image.dataobj) * 1000).astype(np.float32), image.affine)
    nib.save(scaled, tmp_path / "adc.nii.gz")
    files["adc"] = tmp_path / "adc.nii.gz"
    outcome = pipeline.predict(
        files, tmp_path / "out", config=InferenceConfig(weights=weights, draws=3, seed=4, registration="never")
    )
    assert np.abs(_probability(outcome) - _probability(first[0])).max() < 0.02  # rounding through bfloat16


def test_the_real_case_goes_through_the_pipeline(isles_case_dir: Path, weights: Path, tmp_path: Path) -> None:
    outcome = pipeline.predict(isles_case_dir, tmp_path, config=InferenceConfig(weights=weights, draws=2))
    assert nib.load(outcome.maps["mask"]).shape == (112, 112, 73)
    assert outcome.scores is not None
    run = json.loads((tmp_path / f"{outcome.case}_label-lesion_run.json").read_text("utf-8"))
    assert any(c["stage"] == "preprocessing.registration" and c["subject"] == "flair" for c in run["conversions"])


def test_a_thrombus_is_segmented_on_the_voxels_of_the_susceptibility_weighted_image(
    shared_data: Path, tmp_path: Path
) -> None:
    files, config = {}, UNetConfig(modalities=("swi", "phase", "dwi"), targets=("thrombus",), widths=(16, 16))
    crop = shared_data / "swi" / "romeo" / "small"
    for modality, name, step in (("swi", "Mag", 1), ("phase", "Phase", 1), ("dwi", "Mag", 2)):
        echo = nib.load(crop / f"{name}.nii").slicer[::step, ::step, :, 1]
        nib.save(nib.Nifti1Image(np.asarray(echo.dataobj), echo.affine), tmp_path / f"{modality}.nii.gz")
        files[modality] = tmp_path / f"{modality}.nii.gz"
    torch.manual_seed(0)
    facts = {"architecture": "unet", "config": config.as_json(), "spacing_mm": 1.0, "patch": 32, "threshold": 0.02}
    save_weights(tmp_path / "tiny.safetensors", UNet(config).state_dict(), {**facts, "training": {}})
    outcome = pipeline.predict(
        files,
        tmp_path / "out",
        target="thrombus",
        config=InferenceConfig(weights=tmp_path / "tiny.safetensors", draws=2),
    )
    assert nib.load(outcome.maps["mask"]).shape == (51, 51, 41)
    assert outcome.maps["mask"].parent.name == "anat"
    page = outcome.report.read_text("utf-8")
    assert "Thrombus" in page
    assert 0 < page.index("SWI, segmentation") < page.index("DWI, segmentation")
    (manifest,) = (tmp_path / "out").glob("*_label-thrombus_run.json")
    run = json.loads(manifest.read_text("utf-8"))
    assert any(c["stage"] == "preprocessing.phase" and c["subject"] == "swi" for c in run["conversions"])


@pytest.fixture(scope="module")
def guided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained as well, on coarse voxels: DWI attends to the others, guided by the first pass of a U-Net."""
    torch.manual_seed(1)
    first, second = UNetConfig(widths=(8, 8), dropout=0.3), CrossModalConfig(widths=(8, 8), windows=(1, 2), guided=True)
    path = tmp_path_factory.mktemp("guided") / "guided.safetensors"
    facts = {"spacing_mm": 6.0, "patch": 32, "threshold": 0.02, "training": {}}
    for at, name, network in (
        (path, "crossmodal", CrossModal(second)),
        (path.with_name("guided.first.safetensors"), "unet", UNet(first)),
    ):
        save_weights(at, network.state_dict(), {**facts, "architecture": name, "config": network.config.as_json()})
    return path


def test_a_guided_network_writes_its_attention_maps(subject: Path, guided: Path, tmp_path: Path) -> None:
    files = {k: v for k, v in _scans(subject).items() if k != "flair"}
    out = tmp_path / "out"
    outcome = pipeline.predict(files, out, config=InferenceConfig(weights=guided, draws=1, registration="never"))
    attention = {name: nib.load(path) for name, path in outcome.maps.items() if "ttention" in name}
    assert set(attention) == {"adcCrossAttention", "b0CrossAttention", "attentionGate"}, "FLAIR is not there"
    native = nib.load(files["dwi"])
    assert all(image.shape == native.shape for image in attention.values())
    values = {name: np.asarray(image.dataobj) for name, image in attention.items()}
    total = values["adcCrossAttention"] + values["b0CrossAttention"]
    ((prediction, run),) = read_predictions(out)
    brain = np.count_nonzero(prediction.case.masks["brain"].data)
    assert np.isin(np.round(total, 4), [0, 1]).all()
    assert np.count_nonzero(total) >= brain
    assert ((values["attentionGate"] > 0) == (total > 0)).all()
    assert np.ptp(values["attentionGate"][total > 0]) > 0, "uncertainty varies in space"
    assert {path.name for path in out.rglob("*_attention*")} <= set(run.outputs)
    assert prediction.attention is not None
    assert prediction.attention.primary == "dwi"
    assert list(prediction.attention.weights) == ["adc", "b0"]
    before = outcome.report.read_bytes()
    assert b"Cross-attention weights" in before
    outcome.report.unlink()
    assert assessment.report(out) == (outcome.report,)
    assert outcome.report.read_bytes() == before


def test_an_interval_from_phantoms_says_so() -> None:
    features = CaseFeatures("lesion", (1.0, 2.0), (0, 0), 0.9, 1.5, 1.5, (2.0,) * 9, 1.0, 1400.0)
    interval = VolumeInterval("lesion", 1.0, 0.9, "both", 2, 0.1, 0.1, cases=("a",))
    for name, told in (("sub-phantom43n00001", 1), ("sub-07", 0)):
        found = Calibration("lesion", "dropout", 2, ("aa",), volume=interval, cases={name: ""})
        estimate, said = pipeline.calibrated_interval(features, found)
        assert estimate is not None
        assert len([note for note in said if "not on patients" in note]) == told


def test_the_calibrated_interval_lies_between_zero_and_the_brain() -> None:
    """The draws have 1 and 2 ml, and the interval reaches far beyond a brain of 3 ml."""
    features = CaseFeatures("lesion", (1.0, 2.0), (0, 0), 0.9, 1.5, 1.5, (2.0,) * 9, 1.0, brain_ml=3.0)
    interval = VolumeInterval("lesion", 9.0, 0.9, "both", 2, 0.1, 0.1, cases=("a",))
    uncapped = interval.of_case(features)
    assert uncapped.high > 100.0
    estimate, _ = pipeline.calibrated_interval(features, Calibration("lesion", "dropout", 2, ("aa",), volume=interval))
    assert estimate is not None
    assert (estimate.low, estimate.high) == (uncapped.low, 3.0)
    lower = replace(interval, side="lower").of_case(features)
    assert lower.high == float("inf")
    one_sided = Calibration("lesion", "dropout", 2, ("aa",), volume=replace(interval, side="lower"))
    assert pipeline.calibrated_interval(features, one_sided)[0] == replace(lower, high=3.0)


def test_flags_of_the_input_stand_in_the_outcome_the_run_record_and_the_page(
    subject: Path, weights: Path, tmp_path: Path
) -> None:
    dwi = next((subject / "dwi").glob("*_trace.nii.gz"))
    config = InferenceConfig(weights=weights, draws=1, registration="never")
    outcome = pipeline.predict({"dwi": dwi}, tmp_path, config=config, inputs=InputOptions(b_value=2500.0))
    run = json.loads(next(tmp_path.rglob("*_label-lesion_run.json")).read_text("utf-8"))
    flags = {c["values"].get("flag"): c["what"] for c in run["conversions"] if c["stage"] == STAGE}
    assert {"no_adc", "no_b0", "no_flair", "b_value"} <= flags.keys()
    page = outcome.report.read_text("utf-8")
    for flag in ("no_adc", "b_value"):
        assert any(flags[flag] in warning for warning in outcome.warnings)
        assert flags[flag] in page
    assert not any("No FLAIR" in warning for warning in outcome.warnings)
    assert any("b = 2500 s/mm² was taken from the user" in warning for warning in outcome.warnings)
    brain_ml = float(outcome.prediction.case.masks["brain"].data.sum()) * outcome.prediction.maps.grid.voxel_ml
    assert outcome.findings.volume_ml.high <= brain_ml + 1e-6


def test_a_target_that_no_network_segments_is_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(InputRejected, match="hypoperfusion, which is estimated from the others"):
        pipeline.predict(tmp_path, tmp_path / "out", target="hypoperfusion")
