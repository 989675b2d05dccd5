"""Probability maps with one modality withheld, with a small untrained network."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from adumbra.core.case import Case, Scan, scan_from_array
from adumbra.core.errors import InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import InferenceConfig
from adumbra.inference.model_input import model_input
from adumbra.inference.sliding_window import LARGEST_LOSS
from adumbra.modality_change import requesting, withheld_probabilities, without
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


def long_cases() -> Mapping[float, Case]:
    """A case of three windows in a row."""
    brain = np.zeros((66, 20, 20), dtype=bool)
    brain[4:62, 6:14, 6:14] = True
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    values = np.random.default_rng(5).normal(size=(2, *brain.shape)).astype(np.float32)
    scans = {name: scan_from_array(part, affine) for name, part in zip(("dwi", "adc"), values, strict=True)}
    return {2.0: Case("case", scans, {"brain": scan_from_array(brain, affine)})}


def test_regions_are_read_in_fewer_windows_with_the_probability_of_the_whole_pass(model: SegmentationModel) -> None:
    """On thick slices, which each network voxel within a slice contributes to."""
    cases = long_cases()
    grid = Grid((66, 20, 8), np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 5.0, 1.5], [0, 0, 0, 1.0]]))
    regions = np.zeros(grid.shape, dtype=bool)
    regions[8:12, 8:11, 3:5] = True
    everywhere = np.ones(grid.shape, dtype=bool)
    whole = withheld_probabilities(model, cases, grid, within=everywhere)
    part = withheld_probabilities(model, cases, grid, within=everywhere, regions=regions)
    assert whole is not None
    assert part is not None
    for one, other in ((whole.complete, part.complete), *((whole.without[m], part.without[m]) for m in whole.without)):
        assert np.abs(one - other)[regions].max() <= LARGEST_LOSS
        assert one[regions].std() > 0.0
        assert not other[~regions].any()
    config = model.networks[0].network.config
    every, few = (
        len(model_input(case, config, spacing_mm=2.0, side=24, overlap=0.25).windows.corners)
        for case in (cases[2.0], requesting(cases[2.0], regions, grid))
    )
    assert few < every
