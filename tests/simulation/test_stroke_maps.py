"""Strokes without images: what they state of a head is what its vessels and collaterals give."""

import numpy as np
import pytest

from adumbra.core.atlas.coarse_grid import ATLAS_GRID
from adumbra.core.errors import UnreadableFile
from adumbra.phantom.vasculature.arteries import grow_arteries
from adumbra.simulation.stroke_maps import (
    distal_flow,
    read_stroke_maps,
    simulate_stroke_maps,
    stored_stroke_maps,
    write_stroke_maps,
)

STROKES = 6


@pytest.fixture(scope="module")
def maps():
    return simulate_stroke_maps(300, 0, preset_name="emergency", strokes=STROKES)


def test_a_head_has_strokes_in_its_tissue(maps):
    voxel_ml = ATLAS_GRID.voxel_ml
    assert 900 < maps.tissue.sum() * voxel_ml < 1900
    assert maps.tmax_s.shape == maps.infarct.shape == (STROKES, maps.tissue.sum())
    assert 0.0 <= maps.infarct.min() <= maps.infarct.max() <= 1.0
    assert any(f.is_open for f in maps.facts) or all(len(f.sites) for f in maps.facts)


def test_a_closed_artery_delays_blood_around_its_infarct_and_an_open_one_does_not(maps):
    delayed = (maps.tmax_s > 6.0).sum(axis=1) * ATLAS_GRID.voxel_ml
    closed = np.array([not facts.is_open for facts in maps.facts])
    assert closed.any()
    assert delayed[~closed].max(initial=0.0) == 0.0
    assert delayed[closed].max() > 15.0
    for number in np.flatnonzero(closed & (delayed > 15.0)):
        core = maps.infarct[number] > 0.9
        assert (maps.tmax_s[number][core] > 6.0).mean() > 0.9


def test_a_clot_lies_on_the_side_that_lacks_flow(maps):
    compared = 0
    for facts in maps.facts:
        lack = 1.0 - facts.flow.min(axis=0)
        if len(facts.sites) == 1 and facts.sites[0] in ("M1", "M2") and abs(lack[0] - lack[1]) > 0.05:
            assert (facts.clots_mm[0, 0] > 0) == (lack[0] > lack[1])
            compared += 1
    assert compared


def test_open_arteries_have_normal_flow():
    arteries, _ = grow_arteries(np.random.default_rng(0))
    assert np.allclose(distal_flow(arteries, np.ones(len(arteries.parent))), 1.0)
    half = np.where(arteries.points_mm[:, 0] > 0, 0.5, 1.0)
    assert np.allclose(distal_flow(arteries, half)[1], [0.5, 1.0], atol=0.02)


def test_strokes_are_stored_and_not_simulated_twice(maps, tmp_path, monkeypatch):
    path = tmp_path / "head.safetensors"
    write_stroke_maps(path, maps)
    again = read_stroke_maps(path)
    assert np.array_equal(again.tissue, maps.tissue)
    assert np.abs(again.tmax_s - maps.tmax_s).max() < 0.02
    assert np.abs(again.infarct - maps.infarct).max() < 0.003
    assert [f.sites for f in again.facts] == [f.sites for f in maps.facts]
    assert again.volume(again.infarct[0]).shape == ATLAS_GRID.shape
    name = stored_stroke_maps(tmp_path, 300, 0, preset_name="emergency", strokes=1)
    monkeypatch.setattr("adumbra.simulation.stroke_maps.simulate_stroke_maps", None)
    assert stored_stroke_maps(tmp_path, 300, 0, preset_name="emergency", strokes=1) == name


def test_another_file_is_refused_by_name(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"no safetensors")
    with pytest.raises(UnreadableFile, match=r"other\.safetensors"):
        read_stroke_maps(path)
