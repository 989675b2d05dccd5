"""What befell a brain: closed arteries, late blood, dead tissue, and a clot that explains a real outline."""

import numpy as np
import pytest

from adumbra.phantom.anatomy import Head, head
from adumbra.phantom.arteries import territory
from adumbra.phantom.perfusion import HYPOPERFUSED_S
from adumbra.phantom.stroke import Stroke, Vasculature, explaining, stroke, vasculature


@pytest.fixture(scope="module")
def subject() -> Head:
    return head(np.random.default_rng(4))[0]


@pytest.fixture(scope="module")
def vessels(subject: Head) -> Vasculature:
    return vasculature(np.random.default_rng(4), subject)


@pytest.fixture(scope="module")
def strokes(subject: Head, vessels: Vasculature) -> list[Stroke]:
    return [
        stroke(np.random.default_rng(seed), subject, vessels, pattern="territorial", hours=hours)
        for seed, hours in enumerate((3.0, 8.0, 60.0, 200.0))
    ]


def test_vessels_lie_in_the_subject_as_in_the_template(subject: Head, vessels: Vasculature) -> None:
    """Read back through the deformation, the trunk of the middle cerebral artery and the sagittal sinus fit."""

    def in_template(points_mm: np.ndarray) -> np.ndarray:
        index = np.rint(subject.grid.index(points_mm)).astype(int)
        index = index[((index >= 0) & (index < subject.grid.shape)).all(axis=1)]
        return subject.mni_mm[(slice(None), *index.T)].T

    trunk = in_template(vessels.arteries.points_mm[vessels.arteries.nodes("M1_R")[:10]])
    assert (trunk[:, 0] > 8).all()
    assert np.abs(trunk[:, 2] + 14).max() < 10
    sinus = in_template(vessels.veins.points_mm[vessels.veins.nodes("SSS")])
    assert len(sinus) > 20
    assert np.abs(sinus[:, 0]).max() < 5


def test_every_voxel_of_tissue_has_a_territory(vessels: Vasculature) -> None:
    labels = vessels.territories
    assert ((labels > 0) == vessels.tissue).all()


def test_what_has_died_was_not_fed_in_time(strokes: list[Stroke], vessels: Vasculature) -> None:
    for drawn in strokes:
        assert drawn.amount.min() >= 0
        assert drawn.amount.max() <= 1
        if not drawn.is_open:
            dead = (drawn.amount > 0.5) & vessels.tissue
            assert (drawn.tmax_s[dead] > HYPOPERFUSED_S).all()
            assert drawn.clots


def test_an_artery_that_has_opened_holds_no_clot_and_feeds_again(strokes: list[Stroke]) -> None:
    opened = [drawn for drawn in strokes if drawn.is_open]
    assert opened, "no seed of the fixture opened: choose others"
    for drawn in opened:
        assert drawn.clots == ()
        assert not drawn.hypoperfused.any()
        assert drawn.hours_closed > 0


def test_the_clot_that_explains_a_lesion_feeds_its_territory(vessels: Vasculature) -> None:
    tree = vessels.arteries
    behind = tree.downstream(tree.named("M2 superior_R"))[tree.ends]
    amount = np.zeros(vessels.tissue.shape, np.float32)
    amount[vessels.tissue] = behind[vessels.nearest]
    (clot,) = explaining(np.random.default_rng(0), vessels, amount)
    names = {tree.names[i] for i in tree.segment[clot.nodes[:1]]}
    assert {territory(name) for name in names} == {"MCA"}
    filled = np.zeros(len(tree.parent), dtype=bool)
    filled[clot.nodes[0]] = True
    covered = amount[vessels.tissue][tree.downstream(filled)[tree.ends][vessels.nearest]].sum()
    assert covered >= 0.84 * amount.sum()


def test_nothing_explains_lesions_in_all_territories(vessels: Vasculature) -> None:
    assert explaining(np.random.default_rng(0), vessels, vessels.tissue.astype(np.float32)) == ()
    assert explaining(np.random.default_rng(0), vessels, np.zeros(vessels.tissue.shape, np.float32)) == ()


def test_a_clot_has_the_volume_of_its_lumen(strokes: list[Stroke]) -> None:
    lodged = next(drawn.clots for drawn in strokes if drawn.clots)
    assert 0.0005 < sum(clot.volume_ml for clot in lodged) < 0.6


def test_the_same_seed_gives_the_same_stroke(subject: Head, vessels: Vasculature) -> None:
    one, other = (
        stroke(np.random.default_rng(9), subject, vessels, pattern="territorial", hours=5.0) for _ in range(2)
    )
    assert one.amount.tobytes() == other.amount.tobytes()
    assert one.tmax_s.tobytes() == other.tmax_s.tobytes()
