"""What is written of listening, and what the page tells of it by region."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from adumbra.core.errors import OutputRefused
from adumbra.core.geometry.grid import Grid, reoriented
from adumbra.core.results import AttentionMaps, Findings, Maps, RunRecord
from adumbra.report.attention import heard_in, write_attention
from adumbra.report.bids import README
from adumbra.report.derivatives import write_maps
from adumbra.report.html import write_report


@pytest.fixture
def heard(maps: Maps, brain: np.ndarray) -> AttentionMaps:
    """A quarter of the attention to the ADC, and all where there is doubt."""
    adc = np.where(maps.entropy >= 0.3, 1.0, 0.25).astype(np.float32) * brain
    flair = brain.astype(np.float32) - adc
    return AttentionMaps("dwi", {"adc": adc, "flair": flair}, (0.5 * brain).astype(np.float32))


def written(heard: AttentionMaps | None, maps: Maps, out: Path, native: Grid, **more: object) -> tuple[Path, ...]:
    return write_attention(
        heard, out, name="sub-01", target="lesion", grid=maps.grid, native=native, modality_source="dwi.nii.gz", **more
    )


def test_a_map_for_each_other_modality_and_one_for_the_gate(
    heard: AttentionMaps, maps: Maps, native: Grid, tmp_path: Path
) -> None:
    paths = written(heard, maps, tmp_path, native)
    stem = "sub-01_label-lesion_desc-"
    names = [f"{stem}{part}_attention" for part in ("listenedAdc", "listenedFlair", "opening")]
    assert [p.name for p in paths] == [f"{n}.nii.gz" for n in names] + [f"{n}.json" for n in names]
    image = nib.load(paths[0])
    expected = reoriented(heard.shares["adc"], maps.grid, native.axcodes)[0]
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
    about = json.loads(paths[3].read_text())
    assert (about["Units"], about["Sources"], about["Target"]) == ("1", ["dwi.nii.gz"], "lesion")
    assert "attention of dwi that adc got" in about["Description"]
    assert [p.name for p in written(replace(heard, opened=None), maps, tmp_path / "unguided", native)] == [
        f"{name}.{ending}" for ending in ("nii.gz", "json") for name in names[:2]
    ]


def test_the_data_set_says_what_they_are_and_stays_as_it_was_without(
    heard: AttentionMaps, maps: Maps, native: Grid, tmp_path: Path
) -> None:
    write_maps(maps, tmp_path, name="sub-01", native=native, modality_source="")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert written(None, maps, tmp_path, native) == ()
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    written(heard, maps, tmp_path, native)
    assert "*_attention.nii.gz" in (tmp_path / ".bidsignore").read_text().splitlines()
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith(README)
    assert "_desc-opening_attention" in readme
    again = written(heard, maps, tmp_path, native, overwrite=True)
    assert (tmp_path / "README.md").read_text() == readme
    with pytest.raises(OutputRefused, match="listenedAdc"):
        written(heard, maps, tmp_path, native)
    assert all(path.is_file() for path in again)


def test_what_an_earlier_run_heard_does_not_outlive_it(
    heard: AttentionMaps, maps: Maps, native: Grid, tmp_path: Path
) -> None:
    first = written(heard, maps, tmp_path, native)
    other = first[0].with_name("sub-02_label-lesion_desc-listenedAdc_attention.json")
    other.write_text("{}")
    fewer = AttentionMaps("dwi", {"adc": heard.shares["adc"] + heard.shares["flair"]})
    kept = written(fewer, maps, tmp_path, native, overwrite=True)
    assert set(first[0].parent.iterdir()) == {*kept, other}
    written(None, maps, tmp_path, native, overwrite=True)
    assert set(first[0].parent.iterdir()) == {other}


def test_means_by_region(heard: AttentionMaps, maps: Maps, brain: np.ndarray) -> None:
    doubtful, outline, rest = heard_in(heard, maps, brain)
    assert (doubtful.shares["adc"], doubtful.shares["flair"]) == (1.0, 0.0)
    assert (outline.shares["adc"], rest.shares["adc"]) == (0.25, 0.25)
    assert doubtful.opened == outline.opened == rest.opened == 0.5
    total = doubtful.volume_ml + outline.volume_ml + rest.volume_ml
    assert total == pytest.approx(np.count_nonzero(brain) * maps.grid.voxel_ml)
    sure = replace(maps, entropy=np.zeros_like(maps.entropy))
    nothing = heard_in(replace(heard, opened=None), sure, brain)[0]
    assert nothing.volume_ml == 0
    assert np.isnan(nothing.shares["adc"])
    assert nothing.opened is None


def page(path: Path, maps: Maps, findings: Findings, run: RunRecord, brain: np.ndarray, **more: object) -> str:
    background = {"dwi": brain.astype(np.float32) + maps.probability}
    written = write_report(
        path, case_name="sub-01", background=background, maps=maps, findings=findings, run=run, brain=brain, **more
    )
    return written.read_text()


def test_the_page_shows_who_was_listened_to_and_says_what_that_means(
    heard: AttentionMaps, maps: Maps, findings: Findings, run: RunRecord, brain: np.ndarray, tmp_path: Path
) -> None:
    shown = page(tmp_path / "a.html", maps, findings, run, brain, attention=heard)
    section = shown[shown.index('<section aria-labelledby="attention">') :].partition("</section>")[0]
    assert "outlines on DWI and listens to ADC, FLAIR" in section
    assert "Attention is not importance" in section
    cells = [part.partition("<")[0] for part in section.split('<td class="n">')[1:]]
    assert cells[1:4] == ["100 %", "0 %", "50 %"]
    assert cells[5:8] == ["25 %", "75 %", "50 %"]
    assert section.count("<img") == 1 + 3
    bare = page(tmp_path / "b.html", maps, findings, run, brain)
    assert bare == shown.replace(f"\n{section}</section>\n", "", 1)
    unguided = page(tmp_path / "c.html", maps, findings, run, brain, attention=replace(heard, opened=None))
    assert "Opening" not in unguided
