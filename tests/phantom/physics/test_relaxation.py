"""Constants at 1.5 T and 3 T: relations between them, and blood against published numbers."""

import pytest

from adumbra.core.errors import InputRejected
from adumbra.phantom.physics.relaxation import FIELDS_TESLA, TISSUES, blood
from adumbra.phantom.physics.susceptibility import CHI_PPM

NAMES = tuple(TISSUES[3.0])
FLUIDS = ("csf", "vitreous")


def test_both_fields_have_the_same_tissues_and_are_immutable() -> None:
    assert tuple(TISSUES) == FIELDS_TESLA
    assert set(TISSUES[1.5]) == set(NAMES)
    with pytest.raises(TypeError):
        TISSUES[3.0]["grey"] = TISSUES[1.5]["grey"]  # type: ignore[index]


def test_what_has_a_susceptibility_has_relaxation_under_the_same_name() -> None:
    solid = set(CHI_PPM) - {"water", "air", "bone", "calcification", "vein"}
    assert solid <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_higher_field_lengthens_t1_and_shortens_t2_star(name: str) -> None:
    low, high = TISSUES[1.5][name], TISSUES[3.0][name]
    assert high.t1_ms == low.t1_ms if name in FLUIDS else high.t1_ms > low.t1_ms
    assert high.t2_star_ms < low.t2_star_ms
    assert (high.density, high.adc) == (low.density, low.adc)  # independent of the field


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("b0_tesla", FIELDS_TESLA)
def test_t2_star_is_shorter_than_t2_and_t2_than_t1(name: str, b0_tesla: float) -> None:
    tissue = TISSUES[b0_tesla][name]
    assert 0 < tissue.t2_star_ms < tissue.t2_ms < tissue.t1_ms
    assert 0 < tissue.density <= 1
    assert 0 < tissue.adc <= 3.1


def test_t1_of_blood_is_what_lu_measured_at_3_t() -> None:
    assert blood(0.92, b0_tesla=3.0).t1_ms == pytest.approx(1664, abs=14)
    assert blood(0.69, b0_tesla=3.0).t1_ms == pytest.approx(1584, abs=14)
    assert (
        blood(0.40, b0_tesla=3.0).t1_ms == blood(0.69, b0_tesla=3.0).t1_ms
    )  # not extrapolated beyond the measured range
    assert 1350 < blood(0.98, b0_tesla=1.5).t1_ms < 1441  # the consensus on arterial spin labelling; Stanisz 2005


def test_transverse_rates_of_blood_at_3_t_by_hand() -> None:
    """H = 0.4: R2 = 6.436 + 0.344·x + 59.376·x², R2* = 20.66 + 162.64·x², at x = 0.5."""
    venous = blood(0.5, b0_tesla=3.0, haematocrit=0.4)
    assert 1000 / venous.t2_ms == pytest.approx(6.436 + 0.172 + 14.844)
    assert 1000 / venous.t2_star_ms == pytest.approx(20.66 + 40.66)


def test_venous_t2_at_3_t_is_that_of_the_jugular_vein() -> None:
    """62.4 ± 6.1 ms in 20 subjects with an extraction of 0.37 ± 0.04 (Qin et al., MRM 2011;65:471)."""
    assert blood(0.98 - 0.37, b0_tesla=3.0).t2_ms == pytest.approx(62.4, abs=6.1)


@pytest.mark.parametrize("b0_tesla", FIELDS_TESLA)
def test_the_less_oxygen_the_faster_the_decay(b0_tesla: float) -> None:
    series = [blood(oxygenation, b0_tesla=b0_tesla) for oxygenation in (1.0, 0.9, 0.65, 0.4, 0.0)]
    for times in ([b.t2_ms for b in series], [b.t2_star_ms for b in series]):
        assert times == sorted(times, reverse=True)
        assert times[-1] < times[0] / 2
    assert all(b.t2_star_ms < b.t2_ms for b in series)


def test_what_deoxygenation_adds_grows_with_the_square_of_the_field() -> None:
    low, high = ([1 / blood(y, b0_tesla=b0).t2_star_ms for y in (1.0, 0.5)] for b0 in FIELDS_TESLA)
    assert high[1] - high[0] == pytest.approx(4 * (low[1] - low[0]))


@pytest.mark.parametrize(
    ("oxygenation", "haematocrit", "b0_tesla", "named"),
    [(65.0, 0.42, 3.0, "oxygenation"), (0.65, 42.0, 3.0, "haematocrit"), (0.65, 0.42, 7.0, "b0_tesla")],
)
def test_percents_and_other_fields_are_refused(
    oxygenation: float, haematocrit: float, b0_tesla: float, named: str
) -> None:
    with pytest.raises(InputRejected, match=named):
        blood(oxygenation, haematocrit=haematocrit, b0_tesla=b0_tesla)
