"""An angle in every encoding of files: a quarter of a turn by hand, a full turn encoded and decoded."""

import numpy as np
import pytest

from adumbra.core.phase_encodings import PHASES, hertz, radians_of, stored_of

TURN = 2 * np.pi


@pytest.mark.parametrize(
    ("name", "quarter", "dtype"),
    [("rad", TURN / 4, "f4"), ("0…4095", 3072, "u2"), ("±4096", 2048, "i2"), ("mrad", 3071, "i2"),
     ("±0.0037", 0.003674377 / 2, "f4")],
)  # fmt: skip
def test_a_quarter_of_a_turn(name, quarter, dtype):
    stored = stored_of(np.array([TURN / 4]), PHASES[name])
    assert stored.dtype == np.dtype(dtype)
    assert stored[0] == pytest.approx(quarter, rel=1e-6)


def test_hertz_are_turns_per_echo_time():
    assert stored_of(np.array([TURN / 4]), hertz(0.025))[0] == pytest.approx(10.0)  # 1/4 turn in 25 ms


@pytest.mark.parametrize("encoding", [*PHASES.values(), hertz(0.02)], ids=[*PHASES, "Hz"])
def test_decoding_inverts_encoding(encoding):
    angles = np.linspace(-np.pi, np.pi, 9999, dtype=np.float32)
    stored = stored_of(angles, encoding)
    back = radians_of(stored * np.float64(encoding.slope) + encoding.intercept, encoding)
    assert np.abs(np.angle(np.exp(1j * (back - angles.astype(np.float64))))).max() < 1e-3 * TURN / 4


def test_twelve_bits_wrap():
    assert stored_of(np.array([-np.pi, np.pi], dtype=np.float32), PHASES["0…4095"]).tolist() == [0, 0]
