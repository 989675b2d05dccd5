"""The regions to look at again: three planes in the list itself, once on the page, with numbers on demand."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from adumbra.clinic.shared_information import ATOMS
from adumbra.core.case import Case, Scan
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.results import Findings, Maps, Prediction, RunRecord, VolumeDraws
from adumbra.report.figures import UNCERTAIN_COLOUR, planes_of_region
from adumbra.report.html import write_report
from adumbra.report.target_view import target_view
from adumbra.report.tiles import PLANES, box_centred_on, tile
from adumbra.report.worklist_section import TITLE, listed_targets, worklist_section


@pytest.fixture
def prediction(maps: Maps, brain: np.ndarray, draws: VolumeDraws, findings: Findings) -> Prediction:
    grid = maps.grid
    scans = {
        name: Scan(np.random.default_rng(n).normal(100.0, 5.0, grid.shape).astype(np.float32) * brain, grid, grid)
        for n, name in enumerate(("dwi", "adc"))
    }
    case = Case("sub-01", scans, {"brain": Scan(brain, grid, grid)})
    return Prediction(case, maps, draws, findings, None, None, None, None, None, MaskDraws.of([maps.mask]))


def item(prediction: Prediction, rank: int) -> dict[str, object]:
    region = prediction.findings.regions[rank - 1]
    atoms = {name: {"bits": 0.2, "null_mean": 0.05, "null_high": 0.1, "exceeds_null": True} for name in ATOMS}
    return {
        "rank": rank, "volume_ml": region.volume_ml, "side": region.side, "index": list(region.index),
        "territory": "MCA left", "aspects_region": "M5 left", "artery": "", "mean_entropy": 0.5,
        "epistemic_share": 0.25, "mean_probability": 0.4, "changes_rule": False, "settled_by": "adc", "modality": "ADC",
        "if_in": {"sentence": "If it belongs to the core: core 71 ml (+7 ml)."},
        "if_out": {"sentence": "If it does not belong to the core: core unchanged."},
        "modalities": [
            {"modality": "adc", "probability": 0.4, "probability_without": 0.6, "information_nats": 0.21},
            {"modality": "dwi", "probability": 0.4, "probability_without": 0.4, "information_nats": -0.02},
        ],
        "information": [
            {"first": "dwi", "second": "adc", "atoms": atoms if rank == 1 else {}, "target_bits": 0.9},
        ],
    }  # fmt: skip


@pytest.fixture
def clinic(prediction: Prediction) -> dict[str, object]:
    lesion = {"items": [item(prediction, 1), item(prediction, 2)], "notes": ["3 further uncertain regions."]}
    return {
        "case": "sub-01", "use": "Research use only, not for diagnosis.", "conclusion": ["a", "b", "c"], "facts": {},
        "lesion": None, "thrombus": None, "hypoperfusion": None, "cues": None, "image_mismatch": {}, "rules": [],
        "rules_note": "", "worklist": {"lesion": lesion},
    }  # fmt: skip


def test_every_region_has_its_place_and_three_planes(
    prediction: Prediction, run: RunRecord, clinic: dict[str, object]
) -> None:
    view = target_view(prediction, run, brief=True, listed=True)
    assert view.regions == []
    section = worklist_section(clinic, {"lesion": view})
    assert section is not None
    (regions,) = section.lists
    assert [len(entry.figures) for entry in regions.entries] == [4, 4]
    first, second = regions.entries
    assert [figure.caption for figure in first.figures[1:]] == ["Axial", "Coronal", "Sagittal"]
    assert all(re.match(r"DWI, region 1, (place|axial|coronal|sagittal)", figure.alt) for figure in first.figures)
    assert dict(first.facts)["Most informative sequence"] == "ADC, by 0.21 nats per voxel"
    assert first.tables[0].rows[1] == ("DWI", "0.40 instead of 0.40", "−0.02")
    assert first.tables[1].rows == (("DWI and ADC", *["0.20 (0.05)"] * 4, "0.90"),)
    assert second.tables[1].rows[0][1] == "cannot be said: too few voxels"
    assert "null level" in first.tables[1].caption
    assert "bias" in first.tables[1].caption


def test_the_marker_lies_on_the_region(prediction: Prediction, run: RunRecord) -> None:
    scene = target_view(prediction, run, brief=True, listed=True).scene
    index = prediction.findings.regions[1].index
    pictures = planes_of_region(scene, index, height=240)
    assert [name for name, _ in pictures][1:] == ["axial", "coronal", "sagittal"]
    crop = box_centred_on(index, scene.maps.grid, side_mm=64.0)
    for plane, image in pictures[1:]:
        values = np.asarray(image).astype(int)
        assert values.shape == (240, 240, 3)
        at = tile(plane, index[PLANES[plane]], crop, scene.maps.grid, pixels_per_mm=240 / 64.0)
        shrunk = min(1.0, 240 / max(at.size))
        x, y = (round(240 / 2 + shrunk * (p - size / 2)) for p, size in zip(at.pixel(index), at.size, strict=True))
        arm = values[y - 2 : y + 3, x + 14 : x + 20].min(axis=-1)
        assert arm.max(axis=0).min() > 240  # the white arm at the right of the region's voxel
        assert (values == UNCERTAIN_COLOUR).all(axis=-1).any()


def test_the_page_shows_each_region_once(
    prediction: Prediction, run: RunRecord, clinic: dict[str, object], tmp_path: Path
) -> None:
    page = write_report(tmp_path / "sub-01.html", prediction, run, clinic=clinic).read_text("utf-8")
    assert page.count(f">{TITLE}</h2>") == 1
    assert page.count('class="planes"') == 2
    assert "Uncertain regions</h" not in page
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", page)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page) < 6_000_000
    assert len(target_view(prediction, run, brief=True).regions) == 2  # without a worklist they stay in their place


def test_without_a_worklist_there_is_no_section(run: RunRecord) -> None:
    assert worklist_section({"worklist": {}}, {}) is None
    assert listed_targets(None) == listed_targets({}) == set()
    section = worklist_section({"worklist": {"lesion": {"items": [], "notes": []}}}, {})
    assert section is not None
    assert "No uncertain region of the lesion" in section.lists[0].paragraphs[0]
