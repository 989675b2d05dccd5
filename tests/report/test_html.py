"""The page, as a browser shows it: it opens alone, says what it must say, and runs nothing."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adumbra.core.errors import GridMismatch, MissingInput, OutputRefused
from adumbra.core.results import Curves, Estimate, Findings, Maps, RunRecord, VolumeDraws
from adumbra.report.html import write_report

Report = Callable[..., Path]
PLAY = """() => ({
  text: document.body.innerText,
  images: [...document.images].map(i => ({size: i.naturalWidth, alt: i.alt, src: i.src.slice(0, 11)})),
  rows: document.querySelectorAll('tr.region').length,
  scripts: document.scripts.length,
  volume: document.querySelector('#volume').textContent,
  key: document.querySelector('figure.key').getBoundingClientRect().width,
  overflow: document.documentElement.scrollWidth - innerWidth,
  heads: [...document.querySelectorAll('th')].every(h => h.scope === 'col' || h.scope === 'row'),
  ran: typeof window.ran,
})"""


@pytest.fixture
def report(
    maps: Maps, findings: Findings, run: RunRecord, draws: VolumeDraws, brain: np.ndarray, tmp_path: Path
) -> Report:
    generator = np.random.default_rng(0)
    scan = (brain * (100 + 5 * generator.standard_normal(brain.shape)) + 120 * maps.mask).astype(np.float32)
    usual = {
        "case_name": "sub-01",
        "background": {"dwi": scan, "adc": (scan[::-1] / 130).astype(np.float32)},
        "maps": maps, "findings": findings, "run": run, "draws": draws, "brain": brain,
    }  # fmt: skip

    def written(name: str = "report.html", **changes: object) -> Path:
        return write_report(tmp_path / name, **(usual | changes))

    return written


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def seen(browser: object, path: Path, *, width: int = 1280) -> dict[str, object]:
    """What a reader's browser shows of a page, and what it asked for and complained about on the way."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    found = page.evaluate(PLAY)
    page.close()
    return found | {"asked": [url for url in asked if not url.startswith("data:")], "said": said}


def test_the_page_opens_alone_and_says_what_it_must(report: Report, browser: object, findings: Findings) -> None:
    path = report(warnings=["The FLAIR was moved by 2.1 mm."])
    found = seen(browser, path)
    assert found["asked"] == [path.as_uri()]
    assert found["said"] == []
    assert found["scripts"] == 0
    assert found["text"].lstrip().startswith("Research use only, not for diagnosis.")
    assert found["volume"] == f"{findings.volume_ml.value:.1f}"
    assert f"{findings.volume_ml.low:.1f} to {findings.volume_ml.high:.1f} ml" in found["text"]
    assert found["rows"] == 2
    assert found["heads"]
    for sentence in ("The FLAIR was moved by 2.1 mm.", "Not a diagnosis", "sub-01", "moved by 2.1 mm and 1.4 degrees"):
        assert sentence in found["text"]
    assert "cd" * 32 in found["text"]


def test_the_page_shows_where_draws_agree_and_how_good_the_uncertainty_was(
    report: Report, browser: object, curves: Curves, findings: Findings
) -> None:
    found = seen(browser, report(curves=curves, truth=None, scores={"dice": 0.9}))
    assert "How far the draws agree" in found["text"]
    assert re.search(r"Part 1\s+[\d.]+\s+−32, 10, 15\s+–\s+0.91\s+12 %\s+85 %", found["text"])
    for title in ("Reliability", "Risk and coverage", "Retention by lesion"):
        assert title in found["text"]
    assert found["key"] > 500, "the slice with most of the outline has room"
    bare = seen(browser, report("bare.html", findings=replace(findings, regional=None)))
    assert "How far the draws agree" not in bare["text"]
    assert "Risk and coverage" not in bare["text"]


def test_every_picture_is_drawn_and_described(report: Report, browser: object) -> None:
    images = seen(browser, report())["images"]
    assert len(images) == 2 + 2 + 5 * 6 + 2  # the key slice, the scales, five rows of six slices, two regions
    assert all(image["size"] > 0 and image["alt"] and image["src"] == "data:image/" for image in images)


@pytest.mark.parametrize("width", [400, 760, 1280, 1920])
def test_nothing_has_to_be_scrolled_sideways(report: Report, browser: object, width: int, curves: Curves) -> None:
    path = report(case_name="sub-" + "x" * 120, curves=curves, scores={"dice": 0.9})
    assert seen(browser, path, width=width)["overflow"] <= 0


def test_what_users_type_is_text(report: Report, browser: object, run: RunRecord) -> None:
    attack = "<script>window.ran=1</script><img src=x onerror=window.ran=1>"
    hostile = replace(
        run,
        command=attack,
        inputs={attack: attack},
        options={attack: attack},
        conversions=({"station": attack, "subject": attack, "what": attack, "warning": True},),
    )
    path = report(case_name=attack, run=hostile, warnings=[attack], scores={attack: 0.5})
    assert "<script" not in path.read_text()
    found = seen(browser, path)
    assert found["ran"] == "undefined"
    assert found["text"].count("<script>window.ran=1</script>") >= 8
    assert found["asked"] == [path.as_uri()]


def test_an_empty_outline_is_said_to_be_no_all_clear(
    report: Report, browser: object, maps: Maps, findings: Findings
) -> None:
    nothing = np.zeros_like(maps.probability)
    empty = replace(maps, probability=nothing, entropy=nothing, aleatoric=nothing, epistemic=nothing, mask=nothing > 0)
    none = Estimate(0.0, 0.0, 0.0, 0.95, "ml")
    note = "No voxel reached the threshold of 0.50: this is not a statement that there is no stroke."
    bare = replace(findings, volume_ml=none, components=replace(none, unit="lesions"), regions=(), notes=(note,))
    found = seen(browser, report(maps=empty, findings=bare, draws=VolumeDraws("lesion", (0.0,) * 20, (0,) * 20)))
    assert found["volume"] == "0.00"
    assert note in found["text"]
    assert found["rows"] == 0
    assert "can be certain and wrong" in found["text"]


def test_a_truth_is_compared_with(report: Report, browser: object, maps: Maps) -> None:
    scores = {"dice": 0.91234, "precision": float("nan"), "detected": 1.0, "count_difference": 1.0}
    found = seen(browser, report(truth=maps.mask, scores=scores))["text"]
    assert "Against the reference outline" in found
    for line in (r"Dice\s+0\.912", r"Precision\s+undefined", r"Detected\s+yes", r"Count difference\s+1\b"):
        assert re.search(line, found)
    assert "Against the reference" not in seen(browser, report("other.html"))["text"]


def test_references_are_listed(report: Report) -> None:
    page = report(references=("Gal2016", "Dice1945")).read_text()
    assert page.index("Dice LR. Measures") < page.index("Gal Y, Ghahramani Z.")
    assert "References of the methods" not in report("other.html").read_text()


def test_a_page_holds_no_address_but_its_own_data(report: Report) -> None:
    page = report().read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"https?://", page)
    assert len(page) < 6_000_000


def test_the_same_values_give_the_same_page(report: Report) -> None:
    assert report("a.html").read_bytes() == report("b.html").read_bytes()


def test_without_a_brain_mask_the_pictures_are_cropped_to_what_is_not_black(report: Report) -> None:
    assert report(brain=None).read_text().count("<img") == 36


def test_what_does_not_fit_is_refused(report: Report, maps: Maps) -> None:
    with pytest.raises(MissingInput, match="scan to draw on"):
        report(background={})
    with pytest.raises(GridMismatch, match="flair"):
        report(background={"flair": np.zeros((3, 3, 3), dtype=np.float32)})
    report()
    with pytest.raises(OutputRefused, match=r"report\.html"):
        report()
    assert report(overwrite=True).exists()
