"""What is checked of every argument before anything is computed."""

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.estimators.samples import (
    as_many,
    finite_columns,
    finite_row,
    one_of,
    row_and_range,
    same_shape,
    whole_number,
)


def test_a_row_keeps_its_floats_and_takes_others_as_float64() -> None:
    for kind, kept in ((np.float32, np.float32), (np.float64, np.float64), (np.int16, np.float64), (bool, np.float64)):
        row = finite_row(np.array([[0, 1], [1, 0]], dtype=kind), "a")
        assert row.dtype == kept
        assert row.tolist() == [0, 1, 1, 0]
    foreign = np.array([1.5, 2.5], dtype=np.dtype(np.float32).newbyteorder())
    assert finite_row(foreign, "a").dtype.isnative
    assert row_and_range([3.0, -2.0], "a")[1:] == (-2.0, 3.0)


def test_rows_are_read_in_c_order() -> None:
    assert finite_row(np.asfortranarray(np.arange(4.0).reshape(2, 2)), "a").tolist() == [0, 1, 2, 3]


def test_columns() -> None:
    assert finite_columns(np.arange(3), "a").shape == (3, 1)
    assert finite_columns(np.ones((3, 2), dtype=np.float32), "a").dtype == np.float64
    with pytest.raises(InputRejected, match=r"^a"):
        finite_columns(np.float64(3.0), "a")
    with pytest.raises(ImplausibleValues, match=r"^a"):
        finite_columns(np.ones((3, 0)), "a")


def test_what_does_not_fit_is_named() -> None:
    three = np.zeros(3)
    as_many(three, b=three[:, None], given=None)
    same_shape(three, b=three, given=None)
    for check in (as_many, same_shape):
        with pytest.raises(InputRejected, match=r"^given"):
            check(three, b=three, given=three[:2])
    with pytest.raises(InputRejected, match=r"^b"):
        same_shape(three, b=three[:, None])


def test_options_are_named() -> None:
    one_of("by", "max", ("min", "max"))
    with pytest.raises(InputRejected, match=r"^by\n.*min, max"):
        one_of("by", "median", ("min", "max"))
    assert whole_number("bins", 4, least=1, most=8) == 4
    for bad in (0, 9, True):
        with pytest.raises(InputRejected, match=r"^bins\n.*from 1 to 8"):
            whole_number("bins", bad, least=1, most=8)
