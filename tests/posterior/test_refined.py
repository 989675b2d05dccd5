"""A refined prediction through the front door: the draws, the note on the report, and the manifest."""

import json

import nibabel as nib
import numpy as np
import pytest

from adumbra.core.errors import WeightsRejected
from adumbra.core.options import InferenceConfig, InputOptions, RefinementConfig, SelectionConfig
from adumbra.pipeline import predict
from adumbra.segmentation_model import load_model

SECOND = RefinementConfig("lesion", SelectionConfig(most=1, draws=1), posterior="deterministic")
CONFIG = InferenceConfig(posterior="deterministic", draws=2, calibration="none", refinement=SECOND)


@pytest.fixture
def files(tmp_path):
    """A head of 5 cm with a bright lesion, and its brain mask."""
    shape, affine = (25, 25, 25), np.diag([2.0, 2.0, 2.0, 1.0])
    index = np.indices(shape).transpose(1, 2, 3, 0)
    brain = np.linalg.norm(index - 12.0, axis=-1) < 10
    lesion = np.linalg.norm(index - 9.0, axis=-1) < 3
    noise = np.random.default_rng(0).gamma(2.0, 3.0, shape)
    volumes = {
        "dwi": brain * (100 + 200 * lesion) + noise,
        "adc": np.where(lesion, 0.4, 0.8) * brain + 0.001 * noise,
        "brain": brain,
    }
    paths = {name: tmp_path / f"{name}.nii.gz" for name in volumes}
    for name, volume in volumes.items():
        nib.save(nib.Nifti1Image(volume.astype(np.float32), affine), paths[name])
    return paths


def test_the_report_and_the_manifest_say_what_was_read_again(files, tmp_path):
    scans = {"dwi": files["dwi"], "adc": files["adc"]}
    inputs = InputOptions(masks={"brain": files["brain"]}, b_value=1000.0, adc_unit="1e-3mm2/s")
    outcome = predict(scans, tmp_path / "out", config=CONFIG, inputs=inputs)
    summary = outcome.prediction.refinement
    assert summary.windows == 1
    note = f"A second pass read 1 of {summary.all_windows} windows again."
    assert any(line.startswith(note) for line in outcome.findings.notes)
    assert note in outcome.report.read_text("utf-8")
    assert f"{summary.first_ml:.2f} ml after the first pass" in outcome.report.read_text("utf-8")
    (manifest,) = (tmp_path / "out").glob("*_run.json")
    run = json.loads(manifest.read_text("utf-8"))
    recorded = run["options"]["refinement"]
    assert recorded["outcome"]["windows"] == 1
    assert recorded["selection"]["rule"] == "uncertain"
    assert recorded["windows"] == {"spacing_mm": 2.0, "side": 64}
    assert "Yang2025" in run["references"]


def test_a_calibration_of_the_first_pass_alone_is_not_used():
    assert load_model("lesion", InferenceConfig()).calibration is not None
    assert load_model("lesion", InferenceConfig(refinement=SECOND)).calibration is None


def test_a_second_pass_for_another_target_is_refused():
    with pytest.raises(WeightsRejected):
        load_model("lesion", InferenceConfig(refinement=RefinementConfig("thrombus")))
