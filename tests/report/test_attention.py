"""Attention maps as files, and their means by region on the page."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from adumbra.core.case import Case, Scan
from adumbra.core.errors import OutputRefused
from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.results import AttentionMaps, Findings, Maps, Prediction, RunRecord, VolumeDraws
from adumbra.report.attention import attention_by_region, write_attention
from adumbra.report.bids import README
from adumbra.report.derivatives import write_maps
from adumbra.report.html import write_report


@pytest.fixture
def attention(maps: Maps, brain: np.ndarray) -> AttentionMaps:
    """The ADC has a weight of a quarter, and of 1 in the uncertain region."""
    adc = np.where(maps.entropy >= 0.3, 1.0, 0.25).astype(np.float32) * brain
    flair = brain.astype(np.float32) - adc
    return AttentionMaps("dwi", {"adc": adc, "flair": flair}, (0.5 * brain).astype(np.float32))


def written(attention: AttentionMaps | None, maps: Maps, out: Path, native: Grid, **more: object) -> tuple[Path, ...]:
    return write_attention(
        attention,
        out,
        name="sub-01",
        target="lesion",
        grid=maps.grid,
        native=native,
        modality_source="dwi.nii.gz",
        **more,
    )


def test_a_map_for_each_other_modality_and_one_for_the_gate(
    attention: AttentionMaps, maps: Maps, native: Grid, tmp_path: Path
) -> None:
    paths = written(attention, maps, tmp_path, native)
    stem = "sub-01_label-lesion_desc-"
    names = [f"{stem}{part}_attention" for part in ("adcCrossAttention", "flairCrossAttention", "attentionGate")]
    assert [p.name for p in paths] == [f"{n}.nii.gz" for n in names] + [f"{n}.json" for n in names]
    image = nib.load(paths[0])
    expected = reorient(attention.weights["adc"], maps.grid, native.axcodes)[0]
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
    sidecar = json.loads(paths[3].read_text())
    assert (sidecar["Units"], sidecar["Sources"], sidecar["Target"]) == ("1", ["dwi.nii.gz"], "lesion")
    assert "weight of adc for the queries of dwi" in sidecar["Description"]
    assert [p.name for p in written(replace(attention, gate=None), maps, tmp_path / "unguided", native)] == [
        f"{name}.{ending}" for ending in ("nii.gz", "json") for name in names[:2]
    ]


def test_the_data_set_describes_them_and_is_unchanged_without(
    attention: AttentionMaps, maps: Maps, native: Grid, tmp_path: Path
) -> None:
    write_maps(maps, tmp_path, name="sub-01", native=native, modality_source="")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert written(None, maps, tmp_path, native) == ()
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    written(attention, maps, tmp_path, native)
    assert "*_attention.nii.gz" in (tmp_path / ".bidsignore").read_text().splitlines()
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith(README)
    assert "_desc-attentionGate_attention" in readme
    again = written(attention, maps, tmp_path, native, overwrite=True)
    assert (tmp_path / "README.md").read_text() == readme
    with pytest.raises(OutputRefused, match="adcCrossAttention"):
        written(attention, maps, tmp_path, native)
    assert all(path.is_file() for path in again)


def test_attention_of_an_earlier_run_does_not_outlive_it(
    attention: AttentionMaps, maps: Maps, native: Grid, tmp_path: Path
) -> None:
    first = written(attention, maps, tmp_path, native)
    other = first[0].with_name("sub-02_label-lesion_desc-adcCrossAttention_attention.json")
    other.write_text("{}")
    fewer = AttentionMaps("dwi", {"adc": attention.weights["adc"] + attention.weights["flair"]})
    current = written(fewer, maps, tmp_path, native, overwrite=True)
    assert set(first[0].parent.iterdir()) == {*current, other}
    written(None, maps, tmp_path, native, overwrite=True)
    assert set(first[0].parent.iterdir()) == {other}


def test_means_by_region(attention: AttentionMaps, maps: Maps, brain: np.ndarray) -> None:
    uncertain, segmentation, rest = attention_by_region(attention, maps, brain)
    assert (uncertain.weights["adc"], uncertain.weights["flair"]) == (1.0, 0.0)
    assert (segmentation.weights["adc"], rest.weights["adc"]) == (0.25, 0.25)
    assert uncertain.gate == segmentation.gate == rest.gate == 0.5
    total = uncertain.volume_ml + segmentation.volume_ml + rest.volume_ml
    assert total == pytest.approx(np.count_nonzero(brain) * maps.grid.voxel_ml)
    certain = replace(maps, entropy=np.zeros_like(maps.entropy))
    empty = attention_by_region(replace(attention, gate=None), certain, brain)[0]
    assert empty.volume_ml == 0
    assert np.isnan(empty.weights["adc"])
    assert empty.gate is None


def test_the_page_shows_the_weights_by_region_and_says_what_they_mean(
    attention: AttentionMaps, maps: Maps, findings: Findings, draws: VolumeDraws, run: RunRecord, brain: np.ndarray,
    tmp_path: Path,
) -> None:  # fmt: skip
    scan = Scan(brain.astype(np.float32) + maps.probability, maps.grid, maps.grid)
    case = Case("sub-01", {"dwi": scan}, {"brain": Scan(brain, maps.grid, maps.grid)})
    prediction = Prediction(case, maps, draws, findings, None, attention=attention)

    def page(name: str, attention: AttentionMaps | None) -> str:
        return write_report(tmp_path / name, replace(prediction, attention=attention), run).read_text()

    shown = page("a.html", attention)
    section = shown[shown.index('<section aria-labelledby="attention">') :].partition("</section>")[0]
    assert "Cross-attention weights" in section
    assert "weight of ADC, FLAIR for the queries of DWI" in section
    assert "do not measure importance" in section
    cells = [part.partition("<")[0] for part in section.split('<td class="n">')[1:]]
    assert cells[1:4] == ["100 %", "0 %", "50 %"]
    assert cells[5:8] == ["25 %", "75 %", "50 %"]
    assert section.count("<img") == 1 + 3
    bare = page("b.html", None)
    assert bare == shown.replace(f"\n{section}</section>\n", "", 1)
    assert "attention gate" in shown
    assert "attention gate" not in page("c.html", replace(attention, gate=None))
