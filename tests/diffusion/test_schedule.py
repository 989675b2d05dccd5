import dataclasses
import itertools
from math import cos, exp, inf, log, pi

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adumbra.core.errors import InputRejected
from adumbra.diffusion.schedule import (
    Schedule,
    descending_times,
    require_falling,
    require_one_of,
    stratified_times,
)

SCHEDULE = Schedule()
unit = st.floats(0.0, 1.0)


def times(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_it_is_the_cosine_of_the_paper():
    """With an end beyond the precision of float32 it is the paper's curve; by default it is 99.6 % of that curve."""

    def published(t):
        return cos(0.5 * pi * (t + 0.008) / 1.008) ** 2 / cos(0.5 * pi * 0.008 / 1.008) ** 2

    for t in (0.0, 0.001, 0.1, 0.5, 0.9, 0.99):
        assert float(Schedule(lowest=-60.0).signal(times(t))) == pytest.approx(published(t), rel=1e-9)
        assert float(SCHEDULE.signal(times(t))) == pytest.approx(published(0.9956766 * t), rel=1e-4)


def test_the_ends():
    signal, sigma = SCHEDULE.scales(times(0.0, 1.0))
    assert signal[0] == 1.0
    assert sigma[0] == 0.0
    assert SCHEDULE.log_snr(times(0.0)) == inf
    assert float(SCHEDULE.log_snr(times(1.0))) == pytest.approx(-10.0, abs=1e-9)
    assert float(signal[1]) == pytest.approx(exp(-5.0), rel=1e-4)  # ᾱ = 1 / (1 + e¹⁰)


@given(unit, unit)
def test_the_log_snr_falls_strictly(a, b):
    earlier, later = sorted((a, b))
    if later - earlier > 1e-9:
        assert SCHEDULE.log_snr(times(earlier)) > SCHEDULE.log_snr(times(later))


@given(unit, st.floats(-40.0, -1.0))
def test_image_and_noise_share_the_variance(t, lowest):
    schedule = Schedule(lowest=lowest)
    signal, variance = schedule.signal(times(t)), schedule.variance(times(t))
    assert float(signal + variance) == pytest.approx(1.0, abs=1e-15)
    assert float(signal) > 0.0


def test_small_times_lose_no_digits():
    """1 - ᾱ is 2 φ' tan φ(0) t to first order; the difference of two numbers near 1 would lose these digits."""
    first, last = SCHEDULE.angles
    t = 1e-12
    expected = 2 * (last - first) * torch.tensor(first, dtype=torch.float64).tan().item() * t
    assert float(SCHEDULE.variance(times(t))) == pytest.approx(expected, rel=1e-3)


@given(st.floats(1e-6, 1.0))
def test_a_log_snr_has_its_time(t):
    assert float(SCHEDULE.time_at(SCHEDULE.log_snr(times(t)))) == pytest.approx(t, abs=1e-9)


def test_log_snrs_beyond_the_ends_are_the_ends():
    assert SCHEDULE.time_at(times(-50.0, 800.0)).tolist() == [1.0, 0.0]


def test_integers_count_steps():
    whole, real = torch.tensor([0, 1, 500, 1000]), times(0.0, 0.001, 0.5, 1.0)
    for function in (SCHEDULE.signal, SCHEDULE.variance, SCHEDULE.log_snr):
        assert torch.equal(function(whole), function(real))
    assert Schedule(steps=4).time(torch.tensor([1, 4])).tolist() == [0.25, 1.0]


def test_results_are_float64_whatever_the_dtype_of_the_times():
    t = torch.tensor([0.25, 0.5])
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        assert torch.equal(SCHEDULE.signal(t.to(dtype)), SCHEDULE.signal(t.double()))
        assert SCHEDULE.log_snr(t.to(dtype)).dtype == torch.float64


def test_times_outside_are_refused():
    for bad in (times(-0.01), times(1.01), times(float("nan")), torch.tensor([1001]), torch.tensor([-1])):
        with pytest.raises(InputRejected, match=r"^t\n"):
            SCHEDULE.signal(bad)


def test_an_impossible_schedule_is_refused():
    for name, bad in (("steps", 0), ("offset", -0.1), ("offset", inf), ("lowest", 0.0), ("lowest", -inf)):
        with pytest.raises(InputRejected, match=rf"^{name}\n"):
            dataclasses.replace(SCHEDULE, **{name: bad})


@given(st.integers(1, 200), st.sampled_from(["time", "log-snr"]))
def test_descending_times_lead_from_noise_to_the_image(steps, spacing):
    falling = descending_times(SCHEDULE, steps, spacing=spacing)
    assert falling.shape == (steps + 1,)
    assert require_falling(falling)[0] == 1.0
    assert falling[-1] == 0.0


def test_descending_times_by_hand():
    assert descending_times(SCHEDULE, 4).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert descending_times(SCHEDULE, 1, spacing="log-snr").tolist() == [1.0, 0.0]
    levels = SCHEDULE.log_snr(descending_times(SCHEDULE, 4, spacing="log-snr")[:-1])
    assert torch.allclose(levels.diff(), levels.diff()[0].expand(3), rtol=1e-9)
    assert float(levels[-1]) == pytest.approx(float(SCHEDULE.log_snr(torch.tensor([1]))))


def test_descending_times_refuse():
    with pytest.raises(InputRejected, match=r"^steps\n"):
        descending_times(SCHEDULE, 0)
    with pytest.raises(InputRejected, match=r"^schedule\n"):
        descending_times(Schedule(steps=1), 3, spacing="log-snr")
    for bad in ([0.5], [0.5, 0.5], [0.2, 0.8], [1.1, 0.0], [1.0, -0.1], [1.0, float("nan")]):
        with pytest.raises(InputRejected, match=r"^times\n"):
            require_falling(times(*bad))
    with pytest.raises(InputRejected, match=r"^spacing\n.*time, log-snr"):
        require_one_of("spacing", "karras", ("time", "log-snr"))


@given(st.floats(0.0, 1.0, exclude_max=True), st.integers(1, 64))
def test_stratified_times_are_evenly_spaced(uniform, batch):
    stratified = stratified_times(uniform, batch)
    assert ((stratified > 0.0) & (stratified <= 1.0)).all()
    spacing = stratified.sort().values.diff()
    assert torch.allclose(spacing, torch.full_like(spacing, 1.0 / batch), atol=1e-12)


def test_the_time_at_each_place_of_a_batch_is_uniform():
    shifts = [(i + 0.5) / 100 for i in range(100)]
    each = torch.stack([stratified_times(u, 3) for u in shifts])
    even = times(*shifts)
    for place in range(3):
        assert torch.allclose(each[:, place].sort().values, even, atol=0.01)


def test_stratified_times_refuse():
    for bad in (-0.1, 1.0, float("nan")):
        with pytest.raises(InputRejected, match=r"^uniform\n"):
            stratified_times(bad, 2)
    with pytest.raises(InputRejected, match=r"^batch\n"):
        stratified_times(0.5, 0)


def test_image_and_noise_have_equal_variance_at_half_the_time():
    """The cosine is even in the angle: at half time image and noise are about as strong."""
    assert float(SCHEDULE.log_snr(times(0.5))) == pytest.approx(0.0, abs=0.02)
    by_quarter = [float(SCHEDULE.log_snr(times(q / 4))) for q in (1, 2, 3)]
    assert all(a - b > log(2.0) for a, b in itertools.pairwise(by_quarter))
