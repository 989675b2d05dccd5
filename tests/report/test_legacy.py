"""A prediction that version 0.1.0 wrote is read with the same values, and its page can be written again."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adumbra.core.legacy import FILE_PARTS, current_names
from adumbra.core.results import Prediction, RunRecord
from adumbra.report.prediction_files import write_page, write_prediction
from adumbra.report.stored_predictions import read_predictions

FILES = Path(__file__).parents[1] / "core" / "legacy_files"


def parts(folder: Path) -> set[str]:
    """The last parts of the names of the images in a folder, such as ``desc-entropy_uncertainty``."""
    return {path.name.partition("_label-lesion_")[2].partition(".")[0] for path in folder.rglob("*.nii.gz")}


def moments(volume: np.ndarray) -> dict[str, float]:
    return {"mean": float(volume.mean(dtype=np.float64)), "std": float(volume.std(dtype=np.float64))}


@pytest.fixture(scope="module")
def expected() -> Any:
    """The values that version 0.1.0 read from the same files, under the names of today."""
    content: Any = json.loads((FILES / "expected.json").read_text("utf-8"))["prediction"]
    for kind in ("run", "findings", "scene"):
        content = current_names(kind, content)
    return content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FILES / "prediction", tmp_path / "prediction"))


@pytest.fixture
def stored(folder: Path) -> tuple[Prediction, RunRecord]:
    ((prediction, run),) = read_predictions(folder)
    return prediction, run


def test_the_case_and_its_maps(stored: tuple[Prediction, RunRecord], expected: Any) -> None:
    prediction, _ = stored
    case, maps = prediction.case, prediction.maps
    assert (case.name, list(case.scans)) == (expected["case"], expected["scans"])
    assert {name: int(mask.data.sum()) for name, mask in case.masks.items()} == expected["masks"]
    assert (list(maps.grid.shape), maps.grid.axcodes) == (expected["shape"], expected["axcodes"])
    assert moments(maps.probability) == pytest.approx(expected["maps"]["probability"], abs=1e-5)
    for measure in ("entropy", "aleatoric", "epistemic", "variance"):
        assert moments(maps.uncertainty(measure)) == pytest.approx(expected["maps"][measure], abs=1e-5)
    assert int(maps.mask.sum()) == expected["mask_voxels"]
    assert maps.threshold == expected["threshold"]
    assert maps.high_threshold == expected["high_threshold"]


def test_the_findings(stored: tuple[Prediction, RunRecord], expected: Any) -> None:
    prediction, _ = stored
    findings, draws = prediction.findings, prediction.draws
    assert asdict(findings.volume_ml) == expected["volume_ml"]
    assert asdict(findings.components) == expected["components"]
    assert list(draws.volumes_ml) == expected["draws"]["volumes_ml"]
    assert list(draws.components) == expected["draws"]["components"]
    assert len(findings.regions) == expected["regions"]
    first = asdict(findings.regions[0])
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in first.items()} == expected["first_region"]
    assert findings.regional is not None
    assert findings.regional.case.positive_share == expected["regional"]["case"]["positive_share"]
    assert len(findings.regional.components) == expected["regional"]["components"]
    assert prediction.scores == expected["scores"]


def test_each_dice_of_earlier_findings_has_its_own_name(folder: Path) -> None:
    (path,) = folder.rglob("*_findings.json")
    stored = json.loads(path.read_text("utf-8"))
    stored["findings"]["regional"]["case"]["pairwise_dice"] = 0.75
    stored["features"] = {
        "target": "lesion", "draw_ml": [1.0, 2.0], "members": [0, 1], "pairwise_dice": 0.25, "mean_mask_ml": 1.0,
        "expected_ml": 1.5, "threshold_ml": [1.0] * 9, "entropy_nat_ml": 0.1, "brain_ml": 1200.0,
    }  # fmt: skip
    path.write_text(json.dumps(stored), "utf-8")
    ((prediction, run),) = read_predictions(folder)
    assert prediction.findings.regional is not None
    assert prediction.features is not None
    assert (prediction.findings.regional.case.draws_dice, prediction.features.member_dice) == (0.75, 0.25)
    write_prediction(prediction, run, folder, reference="dwi", overwrite=True)
    again = json.loads(path.read_text("utf-8"))
    assert again["findings"]["regional"]["case"]["draws_dice"] == 0.75
    assert again["features"]["member_dice"] == 0.25
    assert "pairwise_dice" not in path.read_text("utf-8")


def test_curves_and_attention(stored: tuple[Prediction, RunRecord], expected: Any) -> None:
    prediction, _ = stored
    assert prediction.curves is not None
    for name, curve in asdict(prediction.curves).items():
        length, x, y = expected["curves"][name]
        assert len(curve[0]) == length
        assert np.nansum(curve[0]) == pytest.approx(x, abs=1e-4)
        assert np.nansum(curve[1]) == pytest.approx(y, abs=1e-4)
    attention = prediction.attention
    assert attention is not None
    assert attention.gate is not None
    assert attention.primary == expected["attention"]["primary"]
    assert set(attention.weights) == set(expected["attention"]["weights"])
    for modality, weights in attention.weights.items():
        assert moments(weights) == pytest.approx(expected["attention"]["weights"][modality], abs=1e-5)
    assert moments(attention.gate) == pytest.approx(expected["attention"]["opened"], abs=1e-5)


def test_the_manifest(stored: tuple[Prediction, RunRecord], expected: Any) -> None:
    _, run = stored
    old = expected["run"]
    assert (run.seed, run.weights, run.inputs) == (old["seed"], old["weights"], old["inputs"])
    assert (run.options["posterior"], list(run.references)) == (old["posterior"], old["references"])
    assert len(run.conversions) == old["conversions"]


def test_the_page_is_written_again(folder: Path, stored: tuple[Prediction, RunRecord]) -> None:
    prediction, run = stored
    page = write_page([(prediction, run)], folder)
    text = page.read_text("utf-8")
    assert "Cross-attention weights" in text
    assert "Agreement with the reference segmentation" in text
    assert page.read_bytes() == write_page([(prediction, run)], folder).read_bytes()


def test_a_new_prediction_replaces_the_files_with_old_names(folder: Path, stored: tuple[Prediction, RunRecord]) -> None:
    prediction, run = stored
    renamed = {old: FILE_PARTS[old] for old in parts(folder) if old in FILE_PARTS}
    assert len(renamed) == 3
    write_prediction(prediction, run, folder, reference="dwi", overwrite=True)
    assert not parts(folder) & set(renamed)
    assert parts(folder) >= set(renamed.values())
    ((again, _),) = read_predictions(folder)
    assert again.attention is not None
    assert prediction.attention is not None
    for modality, weights in prediction.attention.weights.items():
        np.testing.assert_array_equal(again.attention.weights[modality], weights)
