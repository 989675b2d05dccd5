"""All targets of one case: one folder, one report, one clinical summary; facts from options and tables."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import nibabel as nib
import pypdfium2
import pytest
import torch

from adumbra import assessment
from adumbra.assessment import assess, in_view
from adumbra.core.clinical_facts import ClinicalFacts
from adumbra.core.errors import ImplausibleValues, MissingInput, OutputRefused
from adumbra.core.options import InferenceConfig
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import save_weights
from adumbra.report.stored_predictions import read_case, read_predictions
from adumbra.simulation import cohort


def tiny_weights(folder: Path, modalities: tuple[str, ...], target: str) -> Path:
    """An untrained network: what it segments is arbitrary, and not empty."""
    torch.manual_seed(0)
    config = UNetConfig(modalities, (target,), widths=(16, 16, 16), dropout=0.3)
    path = folder / f"{target}.safetensors"
    facts = {"architecture": "unet", "config": config.as_json(), "spacing_mm": 3.0, "patch": 48, "threshold": 0.02}
    save_weights(path, UNet(config).state_dict(), {**facts, "training": {}})
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The scans of a phantom; its FLAIR stands for the SWI, which takes long to simulate."""
    out = tmp_path_factory.mktemp("phantom")
    (name,) = cohort.simulate(out, cases=1, seed=5, preset_name="diffusion")
    scans = {path.name.removesuffix(".nii.gz").rsplit("_", 1)[1]: path for path in (out / name).rglob("*.nii.gz")}
    swi = out / f"{name}_swi.nii.gz"
    shutil.copy(scans["FLAIR"], swi)  # without its sidecar, which says what it is
    return {"dwi": scans["trace"], "adc": scans["ADC"], "swi": swi}


@pytest.fixture(scope="module")
def both(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[assessment.Assessment, Path]:
    """The lesion, and then the thrombus in the same folder."""
    out, weights = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("weights")
    config = InferenceConfig(
        weights=tiny_weights(weights, ("dwi", "adc"), "lesion"), draws=3, registration="never", calibration="none"
    )
    assess(files, out, targets=["lesion"], config=config, facts=ClinicalFacts(nihss=30, age=70.0))
    clot = replace(config, weights=tiny_weights(weights, ("swi",), "thrombus"), high_threshold=0.0)
    return assess(files, out, targets=["thrombus"], config=clot, facts=ClinicalFacts(nihss=12)), out


def test_two_targets_share_a_folder_a_report_and_a_summary(both: tuple[assessment.Assessment, Path]) -> None:
    result, out = both
    assert set(result.targets) == {"thrombus"}
    stored = read_case(out, result.case)
    assert sorted(prediction.maps.target for prediction, _ in stored) == ["lesion", "thrombus"]
    page = result.report.read_text("utf-8")
    assert [path.name for path in out.glob("*.html")] == [result.report.name]
    for line in result.clinic["conclusion"]:
        assert line.replace("&", "&amp;").split(" (")[0] in page
    for title in (
        "Diffusion",
        "Susceptibility-weighted image and clot",
        "Mismatch and rules",
        "Quality and provenance",
    ):
        assert f">{title}" in page
    summary = json.loads((out / f"{result.case}_clinic.json").read_text("utf-8"))
    assert summary["facts"] == {"age": 70.0, "nihss": 12}
    assert summary["lesion"]["volume_ml"]["draws"] == 3
    assert summary["thrombus"] is not None
    assert len(summary["conclusion"]) == 3


def test_the_summary_follows_its_published_schema(both: tuple[assessment.Assessment, Path], project_root: Path) -> None:
    result, out = both
    schema = json.loads((project_root / "src/adumbra/report/assets/clinic.schema.json").read_text("utf-8"))
    summary = json.loads((out / f"{result.case}_clinic.json").read_text("utf-8"))
    jsonschema.validate(summary, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**summary, "conclusion": ["one line"]}, schema)


def test_the_pdf_states_the_conclusion(both: tuple[assessment.Assessment, Path]) -> None:
    result, out = both
    document = pypdfium2.PdfDocument(out / f"{result.case}.pdf")
    pages = [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    assert result.clinic["conclusion"][0].split(" (")[0] in pages[0]
    assert all("Research use only, not for diagnosis." in text for text in pages)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_opens_alone_and_fits_the_screen(both: tuple[assessment.Assessment, Path], width: int) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    result, _ = both
    assert result.report.stat().st_size <= 6_000_000
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        requests: list[str] = []
        messages: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.goto(result.report.as_uri())
        first = page.evaluate("document.querySelector('.conclusion').getBoundingClientRect().top")
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        identifiers = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
        browser.close()
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [result.report.as_uri()]
    assert messages == []
    assert overflow <= 0
    assert first < 500, "the conclusion is on the first screen"
    assert len(identifiers) == len(set(identifiers)), "the targets do not share identifiers"


def test_rules_use_the_draws_and_name_what_is_missing(both: tuple[assessment.Assessment, Path]) -> None:
    rules = {rule["id"]: rule for rule in both[0].clinic["rules"]}
    assert len(rules) == 24
    missing = {name for rule in rules.values() for name in rule["missing"]}
    assert "hours_since_last_known_well" in missing
    assert not {"age", "nihss", "core_ml"} & missing


def test_the_territories_of_every_draw_sum_to_the_lesion(both: tuple[assessment.Assessment, Path]) -> None:
    lesion = both[0].clinic["lesion"]
    if "territories" not in lesion:
        pytest.fail(f"the phantom was not placed in the atlas: {lesion['notes']}")
    medians = [row["median"] for row in lesion["territories"]["sides_ml"].values()]
    assert sum(medians) == pytest.approx(lesion["territories"]["whole_ml"]["median"], rel=0.05)


def test_the_report_can_be_written_again_byte_for_byte(both: tuple[assessment.Assessment, Path]) -> None:
    result, out = both
    before = result.report.read_bytes()
    result.report.unlink()
    assert assessment.report(out) == (result.report,)
    assert result.report.read_bytes() == before


@pytest.fixture(scope="module")
def estimated(
    files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[assessment.Assessment, assessment.Assessment, Path]:
    """Hypoperfusion alone, and then the thrombus in the same folder."""
    out, weights = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("weights")
    config = InferenceConfig(
        weights=tiny_weights(weights, ("dwi", "adc"), "lesion"), draws=3, registration="never", calibration="none"
    )
    first = assess(files, out, targets=["hypoperfusion"], config=config)
    clot = replace(config, weights=tiny_weights(weights, ("swi",), "thrombus"), high_threshold=0.0)
    return first, assess(files, out, targets=["thrombus"], config=clot), out


def test_hypoperfusion_brings_the_lesion_that_it_is_estimated_from(
    estimated: tuple[assessment.Assessment, assessment.Assessment, Path],
) -> None:
    first, _, out = estimated
    assert set(first.targets) == {"lesion", "hypoperfusion"}
    lesion, own = (first.targets[name].prediction for name in ("lesion", "hypoperfusion"))
    assert own.maps.grid.coincides(lesion.maps.grid)
    part = first.clinic["hypoperfusion"]
    assert part["mismatch"]["core_ml"]["draws"] == part["volume_ml"]["draws"] == 3
    assert 0.0 <= part["closed_probability"] <= 1.0
    assert "severe_ml" in part
    image = nib.load(first.targets["hypoperfusion"].maps["tmax"])
    assert image.shape == nib.load(first.targets["hypoperfusion"].maps["mask"]).shape
    assert "not measured perfusion" in (out / f"{first.case}.html").read_text("utf-8")


def test_a_further_target_renews_the_estimate(
    estimated: tuple[assessment.Assessment, assessment.Assessment, Path],
) -> None:
    first, second, out = estimated
    assert "the segmentation of clots" not in first.clinic["hypoperfusion"]["sources"]
    assert "the segmentation of clots" in second.clinic["hypoperfusion"]["sources"]
    assert set(second.targets) == {"thrombus", "hypoperfusion"}
    stored = read_case(out, second.case)
    assert sorted(prediction.maps.target for prediction, _ in stored) == ["hypoperfusion", "lesion", "thrombus"]
    volumes = second.targets["hypoperfusion"].prediction.draws.volumes_ml
    assert next(p for p, _ in stored if p.maps.target == "hypoperfusion").draws.volumes_ml == volumes


def test_a_target_is_not_replaced_unasked(both: tuple[assessment.Assessment, Path], files: dict[str, Path]) -> None:
    _, out = both
    with pytest.raises(OutputRefused, match="lesion"):
        assess(files, out, targets=["lesion"])
    assert [p.maps.target for p, _ in read_predictions(out, target="thrombus")] == ["thrombus"]


def test_targets_follow_from_the_sequences(files: dict[str, Path]) -> None:
    assert in_view(files, "case") == ("lesion", "thrombus", "hypoperfusion")
    assert in_view({"swi": files["swi"]}, "case") == ("thrombus",)
    assert in_view({"adc": files["adc"]}, "case") == ("lesion", "hypoperfusion")
    with pytest.raises(MissingInput, match="dwi or adc"):
        in_view({"flair": files["swi"]}, "case")


def test_an_impossible_fact_is_refused_before_any_work(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ImplausibleValues, match="nihss"):
        assess(files, tmp_path / "out", facts=ClinicalFacts(nihss=60))
    assert not (tmp_path / "out").exists()


def test_facts_in_the_row_of_a_manifest_complete_those_that_are_given(files: dict[str, Path], tmp_path: Path) -> None:
    table = files["swi"].parent / "cohort.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "dwi", "adc", "Age", "NIHSS admission", "onset-known", "lkw hours"])
        writer.writerow(["7", files["dwi"], files["adc"], "89+", "9", "no", "soon"])
    config = InferenceConfig(
        weights=tiny_weights(tmp_path, ("dwi", "adc"), "lesion"), draws=2, registration="never", calibration="none"
    )
    result = assess(table, tmp_path / "out", targets=["lesion"], config=config, facts=ClinicalFacts(nihss=5))
    assert result.clinic["facts"] == {"age": 89.0, "nihss": 5, "onset_known": False}
    assert any("hours_since_last_known_well was not understood" in warning for warning in result.warnings)
