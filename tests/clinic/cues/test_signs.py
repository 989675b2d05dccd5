"""Signs of vessels on a drawn head: the side with more dark veins, and the side without bright arteries."""

import json
from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from adumbra.clinic.cues.asymmetry import Comparison, Cue, Limits, Sign
from adumbra.clinic.cues.flow import FLOW, distal_arteries, distal_flow
from adumbra.clinic.cues.hyperintensities import HYPERINTENSITIES, vascular_hyperintensities
from adumbra.clinic.cues.images import CueImages, label_of, midline
from adumbra.clinic.cues.panel import hypoperfusion_cues
from adumbra.clinic.cues.veins import VEINS, prominent_vein_region, prominent_veins
from adumbra.core.case import Case, Scan
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid
from atlas_cases import IDENTITY
from cue_cases import MIRROR, images_of

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = (-79.0, -109.0, 4.0)  # A slab of 32 mm above the ventricles' floor, no voxel on the midline.
SLAB = Grid((80, 95, 16), AFFINE)
HEAD = images_of(SLAB)
RIGHT = HEAD.mni_mm[0] > 0
X, Y, Z = np.indices(SLAB.shape)
LINES = ((X - 1) % 6 == 0) & (Y % 6 == 0)  # Vertical lines, 12 mm apart; columns are mirrored to other columns.
MIRRORED_LINES = LINES | LINES[::-1]


def swi(*, right: float, left: float) -> np.ndarray:
    """SWI with dark lines, each side with its own loss of signal."""
    return np.where(MIRRORED_LINES, np.where(RIGHT, 100 * (1 - right), 100 * (1 - left)), 100.0).astype(np.float32)


def tof(*, right: bool, left: bool) -> np.ndarray:
    """TOF with bright lines on the sides whose arteries are open."""
    shown = MIRRORED_LINES & ((RIGHT & right) | (~RIGHT & left))
    return np.where(shown, 300.0, 100.0).astype(np.float32)


@pytest.mark.parametrize(("right", "left", "side"), [(0.6, 0.02, "right"), (0.02, 0.6, "left")])
def test_the_side_with_more_dark_veins_is_the_affected_one(right: float, left: float, side: str) -> None:
    images = images_of(SLAB, swi=swi(right=right, left=left))
    veins = prominent_veins(images)
    assert (veins.cue.verdict, veins.cue.side) == ("unclear", side)  # The phantom gives no limit that separates.
    assert replace(veins.cue, sign=replace(VEINS, separates=True)).verdict == "present"
    assert veins.cue.score > 0.9
    assert veins.cue.volume_ml > 0.0
    region = prominent_vein_region(images, veins)
    assert region is not None
    assert region.any()
    assert not region[(side == "right") != RIGHT].any()
    assert f"on the {side}" in veins.cue.sentence()


def test_equal_veins_are_no_sign() -> None:
    cue = prominent_veins(images_of(SLAB, swi=swi(right=0.4, left=0.4))).cue
    assert replace(cue, sign=replace(VEINS, separates=True)).verdict == "absent"
    assert cue.score < 0.05


def test_without_veins_there_is_no_sign_and_no_territory() -> None:
    images = images_of(SLAB, swi=np.full(SLAB.shape, 100.0))
    veins = prominent_veins(images)
    assert veins.cue.verdict is None
    assert prominent_vein_region(images, veins) is None


@pytest.mark.parametrize(("right", "left", "side"), [(False, True, "right"), (True, False, "left")])
def test_the_side_without_bright_arteries_is_the_affected_one(right: bool, left: bool, side: str) -> None:
    cue = distal_flow(images_of(SLAB, tof=tof(right=right, left=left)))
    assert (cue.verdict, cue.side, cue.score) == ("present", side, 1.0)
    assert isnan(cue.volume_ml)
    assert "fewer bright" in cue.sentence()


def test_open_arteries_on_both_sides_are_no_sign() -> None:
    cue = distal_flow(images_of(SLAB, tof=tof(right=True, left=True)))
    assert cue.verdict == "absent"
    plain = json.loads(json.dumps(cue.as_json()))
    assert plain["verdict"] == "absent"
    assert plain["volume_ml"] is None


def test_arteries_that_tof_does_not_cover_on_one_side_are_not_compared() -> None:
    image = tof(right=True, left=True)
    image[~RIGHT] = np.nan
    cue = distal_flow(images_of(SLAB, tof=image))
    assert cue.verdict is None
    assert "too little" in cue.sentence()


def test_proximal_arteries_are_not_counted() -> None:
    places = distal_arteries(HEAD)
    assert {label_of("MCA", "right"), label_of("MCA", "left")} <= set(np.unique(places))
    assert (places[~RIGHT] % 2 == 0).all()  # Labels of the left side are even.


def test_flair_gives_an_asymmetry_without_a_verdict_and_leaves_out_the_lesion() -> None:
    flair = np.where(MIRRORED_LINES & RIGHT, 180.0, 100.0).astype(np.float32)
    flair[np.roll(MIRRORED_LINES, 1, axis=0)] = 10.0  # Fluid beside each line.
    images = images_of(SLAB, flair=flair)
    cue = vascular_hyperintensities(images)
    assert (cue.verdict, cue.side) == ("unclear", "right")
    assert cue.as_json()["limits"] is None
    assert "no verdict" in str(cue.as_json()["note"])
    assert vascular_hyperintensities(images, lesion=RIGHT).verdict is None
    with pytest.raises(GridMismatch):
        vascular_hyperintensities(images, lesion=np.zeros((2, 2, 2), bool))


def test_a_missing_sequence_is_named() -> None:
    cues = hypoperfusion_cues(HEAD)
    assert [cue.verdict for cue in cues.signs] == [None, None, None]
    assert [cue.unavailable for cue in cues.signs] == [
        "no SWI was given",
        "no TOF angiography was given",
        "no FLAIR was given",
    ]
    assert cues.vein_region is None
    assert cues.downstream is None
    assert len(cues.sentences()) == 4
    assert json.loads(json.dumps(cues.as_json()))["prominent_veins"]["score"] is None


def test_all_cues_together_name_the_side() -> None:
    images = images_of(SLAB, swi=swi(right=0.02, left=0.6), tof=tof(right=True, left=False))
    cues = hypoperfusion_cues(images, clots=[np.zeros(SLAB.shape, bool)])
    assert {cue.side for cue in cues.signs if cue.side} == {"left"}
    assert {name: side for name, (_, side) in cues.present().items()} == {"distal_flow": "left"}
    assert cues.downstream is not None
    assert cues.downstream.without_clot == 1.0


def test_coarse_voxels_do_not_resolve_veins() -> None:
    grid = Grid((20, 20, 6), np.diag([2.0, 2.0, 5.0, 1.0]))
    cue = prominent_veins(images_of(grid, swi=np.full(grid.shape, 100.0))).cue
    assert cue.verdict is None
    assert "5.0 mm" in cue.unavailable


def test_the_leading_territory_is_the_one_farthest_over_its_limit() -> None:
    rows = (Comparison("ACA", 0.06, 0.04, 1.0, 900), Comparison("MCA", 0.03, 0.07, 1.0, 900))
    sign = Sign("s", "S", "swi", "more", "lines", {"ACA": Limits(0.1, 0.4), "MCA": Limits(0.1, 0.2)}, "")
    cue = Cue(sign, rows)
    assert (cue.territory, cue.side, cue.verdict) == ("MCA", "left", "present")
    assert cue.score == pytest.approx(0.4)


@pytest.mark.parametrize(("score", "verdict"), [(0.09, "absent"), (0.1, "unclear"), (0.2, "present")])
def test_limits_belong_to_the_verdict_above_them(score: float, verdict: str) -> None:
    assert Limits(0.1, 0.2).verdict(score) == verdict


def test_the_limits_of_each_sign_are_in_order() -> None:
    for sign in (VEINS, FLOW, HYPERINTENSITIES):
        assert all(0.0 <= own.absent < own.present <= 1.0 for own in sign.limits.values())


def test_the_images_of_a_case_have_its_brain_and_reflection() -> None:
    scan = Scan(np.zeros(SLAB.shape, np.float32), SLAB, SLAB)
    brain = Scan(HEAD.brain.copy(), SLAB, SLAB)
    images = CueImages.of(Case("c", {"swi": scan}, {"brain": brain}), IDENTITY)
    np.testing.assert_allclose(images.reflection, MIRROR, atol=1e-9)
    assert midline(IDENTITY).offset_mm == 0.0
    own = np.diag([-1.0, 1.0, 1.0, 1.0]) @ np.diag([1.0, 1.0, 1.0, 1.0])
    own[0, 3] = 3.0
    assert CueImages.of(Case("c", {"swi": scan}, {"brain": brain}, reflection=own), IDENTITY).reflection[0, 3] == 3.0
    with pytest.raises(MissingInput):
        CueImages.of(Case("c", {"swi": scan}), IDENTITY)
    with pytest.raises(GridMismatch):
        CueImages(SLAB, np.zeros((2, 2, 2), bool), HEAD.mni_mm, {}, MIRROR)
