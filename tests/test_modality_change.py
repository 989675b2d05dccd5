"""Probability maps with one modality withheld, with a small untrained network."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from adumbra.core.case import Case, Scan, scan_from_array
from adumbra.core.errors import InputRejected
from adumbra.core.options import InferenceConfig
from adumbra.modality_change import withheld_probabilities, without
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import save_weights
from adumbra.segmentation_model import SegmentationModel, load_model

SHAPE = (20, 20, 20)
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[6:14, 6:14, 6:14] = True


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SegmentationModel:
    torch.manual_seed(0)
    config = UNetConfig(modalities=("dwi", "adc", "flair"), widths=(8, 8, 8), dropout=0.0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    facts = {"architecture": "unet", "config": config.as_json(), "spacing_mm": 2.0, "patch": 24, "threshold": 0.5}
    save_weights(path, UNet(config).state_dict(), {**facts, "training": {}})
    return load_model("lesion", InferenceConfig(weights=path, posterior="deterministic"))


def scan(seed: int) -> Scan:
    values = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    return scan_from_array(values, np.diag([2.0, 2.0, 2.0, 1.0]))


def cases(**scans: Scan) -> Mapping[float, Case]:
    return {2.0: Case("case", scans, {"brain": scan_from_array(BRAIN, np.diag([2.0, 2.0, 2.0, 1.0]))})}


def test_each_map_is_that_of_a_case_without_the_modality(model: SegmentationModel) -> None:
    scans = {"dwi": scan(0), "adc": scan(1)}
    grid = scans["dwi"].grid
    result = withheld_probabilities(model, cases(**scans), grid, within=BRAIN)
    assert result is not None
    assert list(result.without) == ["dwi", "adc"]
    alone = model.prepare(cases(dwi=scans["dwi"]), grid, within=BRAIN).deterministic()
    np.testing.assert_array_equal(result.without["adc"], np.where(BRAIN, alone, 0.0).astype(np.float32))
    both = model.prepare(cases(**scans), grid, within=BRAIN).deterministic()
    np.testing.assert_array_equal(result.complete, np.where(BRAIN, both, 0.0).astype(np.float32))
    assert np.abs(result.complete - result.without["dwi"])[BRAIN].max() > 0.0


def test_the_last_modality_is_never_withheld(model: SegmentationModel) -> None:
    dwi = scan(0)
    assert withheld_probabilities(model, cases(dwi=dwi), dwi.grid, within=BRAIN) is None
    assert withheld_probabilities(model, cases(dwi=dwi, tof=scan(1)), dwi.grid, within=BRAIN) is None  # not an input


def test_the_other_side_of_the_head_is_withheld_too() -> None:
    (case,) = cases(dwi=scan(0), adc=scan(1)).values()
    mirrored = Case(case.name, case.scans, case.masks, mirrors=case.scans)
    less = without(mirrored, "adc")
    assert list(less.scans) == list(less.mirrors) == ["dwi"]
    assert without(mirrored, None) is mirrored


def test_more_members_than_there_are_is_refused(model: SegmentationModel) -> None:
    dwi = scan(0)
    with pytest.raises(InputRejected, match="members"):
        withheld_probabilities(model, cases(dwi=dwi, adc=scan(1)), dwi.grid, within=BRAIN, members=2)
