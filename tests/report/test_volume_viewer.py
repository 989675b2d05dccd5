"""The viewer in a browser: it scrolls, shows the sides as the report does, requests nothing, runs no other script."""

import base64
import gzip
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from adumbra.core.case import Case, Scan
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample
from adumbra.core.results import Estimate, Findings, Maps, Prediction, VolumeDraws
from adumbra.report.viewer_volumes import LEVELS, ScanGroup, quantised, stored_group, stored_mask
from adumbra.report.volume_viewer import scan_groups, volume_viewer

INJECTED = "<img src='data:,' onerror='window.ran=1'><script>window.ran=1</script><a onclick='window.ran=1'>x</a>"


@pytest.fixture
def predictions(maps: Maps, brain: np.ndarray) -> list[Prediction]:
    """A lesion on the grid of the DWI, and a clot on a finer grid of the SWI. Each case holds all scans on its grid."""
    fine = respaced(maps.grid, (2.5, 2.5, 5.0))
    scan = (brain * (100 + 120 * maps.probability)).astype(np.float32)
    return [
        _prediction(target, grid, [resample(volume, maps.grid, grid) for volume in (scan, maps.mask, brain)], maps)
        for target, grid in (("lesion", maps.grid), ("thrombus", fine))
    ]


def _prediction(target: str, grid: Grid, volumes: list[np.ndarray], maps: Maps) -> Prediction:
    scan, mask, brain = volumes
    entropy = resample(maps.entropy, maps.grid, grid)
    here = replace(
        maps, target=target, grid=grid, mask=mask, entropy=entropy, probability=entropy, aleatoric=entropy,
        epistemic=entropy, variance=entropy,
    )  # fmt: skip
    scans = {name: Scan(scan, grid, grid) for name in ("flair", "swi", "dwi", "phase")}
    case = Case("sub-01", scans, {"brain": Scan(brain, grid, grid)})
    return Prediction(case, here, VolumeDraws(target, (1.0,), (1,)), _findings(target), None)


def _findings(target: str) -> Findings:
    one = Estimate(1.0, 1.0, 1.0, 0.95, "ml")
    return Findings(target, one, one, ())


def page_of(predictions: list[Prediction], folder: Path) -> Path:
    viewer = volume_viewer(predictions)
    path = folder / "page.html"
    path.write_text(
        "<!doctype html><html><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{viewer.security_policy}">'
        f"<style>{viewer.style}</style></head><body>{viewer.html}{INJECTED}</body></html>"
    )
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as play:
        instance = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield instance
        instance.close()


def pixels(page: object) -> np.ndarray:
    """The canvas as it is on the screen, (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(page.locator("#viewer-frame").screenshot())).convert("RGB")).astype(int)


def press(page: object, key: str) -> str:
    """Presses a key in the viewer, and returns the line that describes the slice."""
    page.press("#viewer-frame", key)
    page.wait_for_selector("#viewer[aria-busy=false]")
    return page.text_content("#viewer-status")


def test_the_viewer_scrolls_by_keys_and_requests_nothing(
    predictions: list[Prediction], browser: object, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 700})
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    path = page_of(predictions, tmp_path)
    page.goto(path.as_uri())
    page.wait_for_selector("#viewer[data-ready=true]", timeout=60_000)

    first, count = map(int, re.findall(r"slice (\d+) of (\d+)", page.text_content("#viewer-status"))[0])
    start = pixels(page)
    assert press(page, "ArrowUp").startswith(f"DWI, axial slice {first + 1} of {count}, +")
    above = pixels(page)
    assert (start != above).any(), "another slice looks different"
    assert f"slice {first} of" in press(page, "ArrowDown")
    assert (pixels(page) == start).all()
    assert f"slice 1 of {count}" in press(page, "Home")
    assert f"slice {count} of {count}" in press(page, "End")
    assert f"slice {count - 5} of {count}" in press(page, "PageDown")
    assert page.input_value("#viewer-slice") == str(count - 5)

    page.fill("#viewer-slice", str(first))
    shown = pixels(page)
    press(page, "l")
    press(page, "t")
    rows, columns = np.nonzero((pixels(page) != shown).any(axis=2))
    height, width = shown.shape[:2]
    assert columns.min() > width / 2, "the patient's left is on the right"
    assert rows.mean() < height / 2, "the front is on top"
    assert page.get_attribute("[data-overlay=lesion]", "aria-pressed") == "false"

    assert press(page, "ArrowRight").startswith("FLAIR, axial")
    assert press(page, "3").startswith("SWI, axial")
    assert page.is_disabled("[data-overlay=lesion-entropy]")
    press(page, "e")
    assert page.get_attribute("[data-overlay=thrombus-entropy]", "aria-pressed") == "true"
    assert press(page, "s").startswith("SWI, sagittal slice")

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a phone's width is enough"
    assert page.evaluate("typeof window.ran") == "undefined", "no other script runs"
    page.click("text=x")
    assert page.evaluate("typeof window.ran") == "undefined"
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate("fetch('data:text/plain,1')")
    assert [url for url in requests if not url.startswith(("data:", "file:"))] == []
    assert [url for url in requests if url.startswith("file:")] == [path.as_uri()]
    assert errors == []
    page.emulate_media(media="print")
    assert not page.is_visible("#viewer")
    page.close()


def test_without_webgl_the_page_states_it(predictions: list[Prediction], browser: object, tmp_path: Path) -> None:
    page = browser.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(page_of(predictions[:1], tmp_path).as_uri())
    page.wait_for_selector("#viewer[data-ready=false]")
    assert "needs WebGL 2" in page.text_content("#viewer-status")
    assert not page.is_visible("#viewer-frame")
    assert not page.is_visible("#viewer-controls")
    page.close()


def test_every_scan_is_stored_once_on_the_grid_of_its_target(predictions: list[Prediction]) -> None:
    groups = scan_groups(predictions)
    assert [list(group.scans) for group in groups] == [["DWI", "FLAIR"], ["SWI"]]
    assert groups[1].grid.coincides(predictions[1].maps.grid)
    assert [list(group.scans) for group in scan_groups(predictions[:1])] == [["DWI", "FLAIR", "SWI"]]
    data = json.loads(re.search(r'id="viewer-data">(.*?)</script>', volume_viewer(predictions).html, re.DOTALL)[1])
    assert [sorted(group["overlays"]) for group in data["groups"]] == [
        ["lesion", "lesion-entropy", "thrombus"],
        ["lesion", "thrombus", "thrombus-entropy"],
    ]


def decoded(text: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


def test_stored_volumes_lie_where_their_sources_lie(predictions: list[Prediction], maps: Maps) -> None:
    scan = predictions[0].case.scans["dwi"].data
    brain = predictions[0].case.masks["brain"].data
    stored = stored_group(ScanGroup(maps.grid, {"DWI": scan}, brain), budget_bytes=10**6)
    image = decoded(stored.scans["DWI"])
    levels = np.asarray(image.dataobj)
    assert levels.dtype == np.uint8
    assert levels.max() == LEVELS - 1
    assert np.allclose(image.affine, stored.grid.affine, atol=1e-4)
    brightest = stored.grid.world_mm(np.argwhere(levels == LEVELS - 1).mean(axis=0))
    assert np.linalg.norm(brightest - maps.grid.world_mm(np.argwhere(scan > 219).mean(axis=0))) < 4.0
    mask = np.asarray(decoded(stored_mask(maps.mask, maps.grid, stored.grid)).dataobj)
    assert mask.sum() * stored.grid.voxel_ml == pytest.approx(maps.mask.sum() * maps.grid.voxel_ml)


def test_scans_that_are_too_large_get_larger_voxels_and_small_masks_remain() -> None:
    grid = Grid((80, 90, 20), np.diag([0.8, 0.8, 4.0, 1.0]))
    noise = np.random.default_rng(0).standard_normal(grid.shape).astype(np.float32)
    whole = stored_group(ScanGroup(grid, {"SWI": noise}), budget_bytes=10**7)
    assert np.allclose(whole.grid.spacing_mm, grid.spacing_mm)
    stored = stored_group(ScanGroup(grid, {"SWI": noise}), budget_bytes=30_000)
    assert stored.size_bytes <= 30_000 < whole.size_bytes
    assert stored.grid.spacing_mm[0] > 1.5
    assert stored.grid.spacing_mm[2] == pytest.approx(4.0, rel=0.05)
    dot = np.zeros(grid.shape, dtype=bool)
    dot[40, 40, 10] = True
    assert np.asarray(decoded(stored_mask(dot, grid, stored.grid)).dataobj).sum() == 1


def test_values_beyond_the_window_get_its_ends() -> None:
    assert quantised(np.array([-5.0, 0.0, 5.0, 10.0, 99.0]), (0.0, 10.0)).tolist() == [0, 0, 32, 63, 63]


def test_the_page_is_small_repeatable_and_holds_no_address(predictions: list[Prediction]) -> None:
    viewer = volume_viewer(predictions)
    assert viewer == volume_viewer(predictions)
    assert len(viewer.html) < 700_000, "NiiVue takes less than half a megabyte"
    assert not re.search(r"https?://", viewer.html)
    assert "'unsafe-inline'" not in viewer.security_policy.partition("script-src")[2].partition(";")[0]
    assert (
        "BSD 2-Clause License"
        in gzip.decompress(base64.b64decode(re.search(r'id="viewer-niivue">(.*?)</script>', viewer.html)[1])).decode()[
            :1000
        ]
    )
