"""The channels of the evidence say where flow is missing and what is not known."""

import numpy as np
import pytest

from adumbra.core.atlas.coarse_grid import ATLAS_GRID
from adumbra.core.perfusion_evidence import CHANNELS, FACTS, MAPS, Evidence

SHAPE = ATLAS_GRID.shape
FIRST_FACT = len(MAPS)


def evidence(**further):
    zeros = np.zeros(SHAPE, np.float32)
    return Evidence(zeros + 1, zeros, **further)


def fact(channels, name):
    volume = channels[FIRST_FACT + FACTS.index(name)]
    assert volume.min() == volume.max()
    return float(volume[0, 0, 0])


def test_what_is_missing_is_marked():
    channels = evidence().channels()
    assert channels.shape == (CHANNELS, *SHAPE)
    assert [fact(channels, name) for name in FACTS] == [0.0] * len(FACTS)
    assert evidence().sources == ()


def test_a_lack_of_flow_lies_on_its_side():
    channels = evidence(flow=np.array([np.nan, 0.8, 0.0])).channels()
    less, more = channels[3], channels[4]
    assert less.max() == more.max() == pytest.approx(0.8)
    x = ATLAS_GRID.world_mm(np.argwhere(less > 0))[:, 0]
    assert (x < 0).all(), "vessels on the right only: the left lacks them"
    assert np.array_equal(more, less[::-1])
    assert fact(channels, "flow compared") == 1.0
    assert fact(evidence(flow=np.full(3, np.nan)).channels(), "flow compared") == 0.0


def test_the_known_time_is_told_from_the_estimated_one():
    known = evidence(log_hours=float(np.log(6.0)), onset_known=True).channels()
    estimated = evidence(log_hours=float(np.log(6.0))).channels()
    assert (fact(known, "age known"), fact(known, "age estimated")) == (1.0, 0.0)
    assert (fact(estimated, "age known"), fact(estimated, "age estimated")) == (0.0, 1.0)
    assert fact(known, "age") == pytest.approx(np.log(6.0) / np.log(336.0))


def test_supply_covers_the_brain_once():
    channels = evidence().channels()
    supply = channels[FIRST_FACT + len(FACTS) + 3 :].sum(axis=0)
    assert np.isin(np.round(supply, 2), [0.0, 1.0]).mean() > 0.99
    assert 20_000 < (supply > 0.5).sum() < 40_000


def test_another_lesion_changes_one_channel():
    own = evidence()
    other = own.with_lesion(np.ones(SHAPE, np.float32)).channels()
    differing = np.flatnonzero(np.abs(other - own.channels()).max(axis=(1, 2, 3)))
    assert differing.tolist() == [MAPS.index("lesion")]
