"""The report as a browser shows it: it opens alone, prints what it must, and runs no script."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.case_features import CaseScore, WidthShares
from adumbra.core.errors import GridMismatch, MissingInput, OutputRefused
from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Curves, Estimate, Findings, Maps, Prediction, RunRecord, VolumeDraws
from adumbra.report.html import write_report

Report = Callable[..., Path]
CONTENT = """() => ({
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


def on_own_grid(volume: np.ndarray) -> Scan:
    """A scan on a grid of the volume's own shape, which need not be that of the maps."""
    grid = Grid(volume.shape, np.eye(4))
    return Scan(volume, grid, grid)


@pytest.fixture
def prediction(maps: Maps, findings: Findings, draws: VolumeDraws, brain: np.ndarray) -> Prediction:
    generator = np.random.default_rng(0)
    scan = (brain * (100 + 5 * generator.standard_normal(brain.shape)) + 120 * maps.mask).astype(np.float32)
    scans = {"dwi": on_own_grid(scan), "adc": on_own_grid((scan[::-1] / 130).astype(np.float32))}
    return Prediction(Case("sub-01", scans, {"brain": on_own_grid(brain)}), maps, draws, findings, None)


@pytest.fixture
def report(prediction: Prediction, run: RunRecord, tmp_path: Path) -> Report:
    def write(
        name: str = "report.html",
        *,
        case: Mapping[str, object] | None = None,
        run_record: RunRecord = run,
        overwrite: bool = False,
        **changes: object,
    ) -> Path:
        changed = replace(prediction, case=replace(prediction.case, **(case or {})), **changes)
        return write_report(tmp_path / name, changed, run_record, overwrite=overwrite)

    return write


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as play:
        instance = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield instance
        instance.close()


def view(browser: object, path: Path, *, width: int = 1280) -> dict[str, object]:
    """The content of a page in a browser, with its requests and its messages to the console."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    requests, messages = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(path.as_uri())
    content = page.evaluate(CONTENT)
    page.close()
    return content | {"requests": [url for url in requests if not url.startswith("data:")], "messages": messages}


def test_the_page_opens_alone_and_prints_what_it_must(report: Report, browser: object, findings: Findings) -> None:
    path = report(case={"provenance": (Conversion("registration", "flair", "Moved by 2.1 mm", warning=True),)})
    content = view(browser, path)
    assert content["requests"] == [path.as_uri()]
    assert content["messages"] == []
    assert content["scripts"] == 0
    assert content["text"].lstrip().startswith("Research use only, not for diagnosis.")
    assert content["volume"] == f"{findings.volume_ml.value:.1f}"
    assert f"{findings.volume_ml.low:.1f} to {findings.volume_ml.high:.1f} ml" in content["text"]
    assert content["rows"] == 2
    assert content["heads"]
    for sentence in ("flair: Moved by 2.1 mm.", "Not a diagnosis", "sub-01", "moved by 2.1 mm and 1.4 degrees"):
        assert sentence in content["text"]
    assert "cd" * 32 in content["text"]


def test_the_page_shows_the_agreement_of_the_draws_and_the_quality_of_the_uncertainty(
    report: Report, browser: object, curves: Curves, findings: Findings
) -> None:
    content = view(browser, report(curves=curves, scores={"dice": 0.9}))
    assert "Agreement of the draws" in content["text"]
    assert re.search(r"Component 1\s+[\d.]+\s+−32, 10, 15\s+–\s+0.91\s+12 %\s+85 %", content["text"])
    for title in ("Reliability", "Risk and coverage", "Retention by lesion"):
        assert title in content["text"]
    assert content["key"] > 500, "the key slice is large"
    bare = view(browser, report("bare.html", findings=replace(findings, regional=None)))
    assert "Agreement of the draws" not in bare["text"]
    assert "Risk and coverage" not in bare["text"]


def test_every_picture_is_shown_and_described(report: Report, browser: object) -> None:
    images = view(browser, report())["images"]
    assert len(images) == 2 + 2 + 5 * 6 + 2  # the key slice, the scales, five rows of six slices, two regions
    assert all(image["size"] > 0 and image["alt"] and image["src"] == "data:image/" for image in images)


@pytest.mark.parametrize("width", [400, 760, 1280, 1920])
def test_nothing_has_to_be_scrolled_sideways(report: Report, browser: object, width: int, curves: Curves) -> None:
    path = report(case={"name": "sub-" + "x" * 120}, curves=curves, scores={"dice": 0.9})
    assert view(browser, path, width=width)["overflow"] <= 0


def test_text_of_users_is_escaped(report: Report, browser: object, run: RunRecord, findings: Findings) -> None:
    attack = "<script>window.ran=1</script><img src=x onerror=window.ran=1>"
    hostile = replace(
        run,
        command=attack,
        inputs={attack: attack},
        options={attack: attack},
        conversions=({"stage": attack, "subject": attack, "what": attack, "warning": True},),
    )
    warned = replace(findings, notes=(attack,))
    path = report(case={"name": attack}, run_record=hostile, findings=warned, scores={attack: 0.5})
    assert "<script" not in path.read_text()
    content = view(browser, path)
    assert content["ran"] == "undefined"
    assert content["text"].count("<script>window.ran=1</script>") >= 8
    assert content["requests"] == [path.as_uri()]


def test_an_empty_segmentation_does_not_exclude_a_stroke(
    report: Report, browser: object, maps: Maps, findings: Findings
) -> None:
    nothing = np.zeros_like(maps.probability)
    empty = replace(maps, probability=nothing, entropy=nothing, aleatoric=nothing, epistemic=nothing, mask=nothing > 0)
    none = Estimate(0.0, 0.0, 0.0, 0.95, "ml")
    note = "No voxel reached the threshold of 0.50: this is not a statement that there is no stroke."
    bare = replace(findings, volume_ml=none, components=replace(none, unit="lesions"), regions=(), notes=(note,))
    content = view(browser, report(maps=empty, findings=bare, draws=VolumeDraws("lesion", (0.0,) * 20, (0,) * 20)))
    assert content["volume"] == "0.00"
    assert note in content["text"]
    assert content["rows"] == 0
    assert "can be certain and wrong" in content["text"]


def test_the_segmentation_is_compared_with_the_truth(
    report: Report, browser: object, prediction: Prediction, maps: Maps
) -> None:
    scores = {"dice": 0.91234, "precision": float("nan"), "detected": 1.0, "count_difference": 1.0}
    masks = {**prediction.case.masks, "lesion": on_own_grid(maps.mask)}
    text = view(browser, report(case={"masks": masks}, scores=scores))["text"]
    assert "Agreement with the reference segmentation" in text
    for line in (r"Dice\s+0\.912", r"Precision\s+undefined", r"Detected\s+yes", r"Count difference\s+1\b"):
        assert re.search(line, text)
    assert "reference segmentation" not in view(browser, report("other.html"))["text"]


def test_the_page_shows_the_sources_of_the_width_and_the_case_score(report: Report, findings: Findings) -> None:
    width, score = WidthShares(0.25, 0.05, 0.7, "annotators"), CaseScore(0.914, 5, 0.7, 0.12, 0.049, 0.253, 41)
    page = report(findings=replace(findings, width=width, score=score)).read_text()
    bars = re.findall(r'<rect class="(members|within|calibration)" x="([\d.]+)" y="0" width="([\d.]+)"', page)
    assert bars == [("members", "0.0", "105.0"), ("within", "105.0", "21.0"), ("calibration", "126.0", "294.0")]
    assert "predicted noise within a member 5%" in page
    assert "Dice was below 0.7 in 5 of 41 calibration cases with a similar score (12%" in page
    bare = report("bare.html").read_text()
    assert "Sources of the width" not in bare
    assert "Case score" not in bare


def test_notes_stand_beside_the_numbers_and_only_warnings_in_the_box(report: Report, findings: Findings) -> None:
    noted = replace(findings, notes=("The interval was calibrated on phantoms.",))
    quiet = report("quiet.html", findings=noted).read_text()
    assert 'class="warnings"' not in quiet
    assert ">Warnings<" not in quiet
    numbers, _, rest = quiet.partition('<figure class="key">')
    assert "<li>The interval was calibrated on phantoms.</li>" in numbers
    assert "calibrated on phantoms" not in rest
    moved = Conversion("preprocessing.registration", "flair", "Moved by 2.1 mm", warning=True)
    warned = report("warned.html", findings=noted, case={"provenance": (moved,)}).read_text()
    box = warned.partition('class="warnings"')[2].partition("</section>")[0]
    assert "<li>flair: Moved by 2.1 mm.</li>" in box
    assert "calibrated on phantoms" not in box


def test_nested_options_are_printed_as_text(report: Report, run: RunRecord) -> None:
    calibration = {"format": "adumbra-calibration-2", "weights": ["ab" * 32], "probability": {"after": [0.5] * 200}}
    options = {"draws": 20, "calibration": calibration, "refinement": None, "state": {"from": "decoder"}}
    page = report(run_record=replace(run, options=options)).read_text()
    provenance = page.partition('id="provenance"')[2]
    for trace in ("{", "[", "&#39;", "None", "True"):
        assert trace not in provenance
    assert re.search(r'padding-left: 18px">format</th><td><code>adumbra-calibration-2<', provenance)
    assert re.search(r'padding-left: 36px">after</th><td><code>200 numbers, 0.5 to 0.5<', provenance)


def test_references_are_listed(report: Report, run: RunRecord) -> None:
    page = report(run_record=replace(run, references=("Gal2016", "Dice1945"))).read_text()
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
    assert report(case={"masks": {}}).read_text().count("<img") == 36


def test_what_does_not_fit_is_refused(report: Report, maps: Maps) -> None:
    with pytest.raises(MissingInput, match="scan to draw on"):
        report(case={"scans": {}})
    with pytest.raises(GridMismatch, match="flair"):
        report(case={"scans": {"flair": on_own_grid(np.zeros((3, 3, 3), dtype=np.float32))}})
    report()
    with pytest.raises(OutputRefused, match=r"report\.html"):
        report()
    assert report(overwrite=True).exists()
