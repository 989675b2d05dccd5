"""A target that the summary says nothing of: the line states why, and what to do."""

import numpy as np

from adumbra.clinic.distribution import Distribution
from adumbra.clinical_summary.conclusion import absence, conclusion
from adumbra.clinical_summary.mismatch import HypoperfusionPart
from adumbra.core.case import Case, scan_from_array
from adumbra.core.results import Estimate, Findings, Prediction, VolumeDraws
from worklist_cases import maps_of

SHAPE = (4, 4, 4)


def prediction(target: str, *modalities: str) -> Prediction:
    """A prediction without the masks of its draws, as earlier versions stored it."""
    scans = {name: scan_from_array(np.ones(SHAPE, np.float32), np.eye(4)) for name in modalities}
    case = Case("case", scans)
    findings = Findings(target, Estimate(9.51, 8.0, 12.0, 0.95, "ml"), Estimate(1.0, 1.0, 1.0, 0.95, ""), (), ())
    maps = maps_of(np.zeros(SHAPE), grid=case.grid, target=target)
    return Prediction(case, maps, VolumeDraws(target, (9.51,), (1,)), findings, None)


def test_a_prediction_of_an_earlier_version_is_no_missing_sequence() -> None:
    stored = {"lesion": prediction("lesion", "dwi", "adc")}
    lines = conclusion(stored, None, None, None, ())
    assert lines[0].startswith("Ischemic lesion: 9.51 ml segmented by an earlier version, which stored no masks")
    assert "--overwrite" in lines[0]
    assert "no diffusion-weighted image" not in " ".join(lines)
    assert lines[1] == "Clot: not analysed, for there is no susceptibility-weighted image and no angiography."


def test_a_sequence_that_is_there_is_not_stated_to_be_missing() -> None:
    stored = {"thrombus": prediction("thrombus", "swi", "dwi")}
    assert absence("lesion", stored) == (
        "Ischemic lesion: not segmented in this folder. Predict it into the folder, with --target lesion."
    )
    only = {"thrombus": prediction("thrombus", "swi")}
    assert absence("lesion", only) == "Ischemic lesion: not analysed, for there is no diffusion-weighted image."
    assert "estimated" in absence("hypoperfusion", only)


def hypoperfusion(closed: float) -> HypoperfusionPart:
    """A part with three draws without hypoperfusion and four with it."""
    volume = Distribution("estimated hypoperfusion", "ml", (0.0, 0.0, 0.0, 90.0, 100.0, 110.0, 120.0))
    return HypoperfusionPart({"closed_probability": closed}, volume)


def test_no_median_is_stated_where_the_artery_may_be_open() -> None:
    stored = {"hypoperfusion": prediction("hypoperfusion", "dwi")}
    line = conclusion(stored, None, None, hypoperfusion(0.57), ())[2]
    assert line.startswith("Estimated hypoperfusion 0 to 1")
    assert "an artery is closed with a probability of 57 %" in line
    assert "not measured perfusion" in line
    assert conclusion(stored, None, None, hypoperfusion(0.95), ())[2].startswith("Estimated hypoperfusion 90")
