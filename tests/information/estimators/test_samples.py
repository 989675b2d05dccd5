"""Validation of arguments before anything is computed."""

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.estimators.samples import (
    finite_columns,
    finite_row,
    require_choice,
    require_same_length,
    require_same_shape,
    require_whole_number,
    row_and_range,
)


def test_rows_keep_float32_and_float64_and_convert_other_types() -> None:
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


def test_errors_name_the_argument() -> None:
    three = np.zeros(3)
    require_same_length(three, b=three[:, None], given=None)
    require_same_shape(three, b=three, given=None)
    for check in (require_same_length, require_same_shape):
        with pytest.raises(InputRejected, match=r"^given"):
            check(three, b=three, given=three[:2])
    with pytest.raises(InputRejected, match=r"^b"):
        require_same_shape(three, b=three[:, None])


def test_errors_name_the_option() -> None:
    require_choice("by", "max", ("min", "max"))
    with pytest.raises(InputRejected, match=r"^by\n.*min, max"):
        require_choice("by", "median", ("min", "max"))
    assert require_whole_number("bins", 4, least=1, most=8) == 4
    for bad in (0, 9, True):
        with pytest.raises(InputRejected, match=r"^bins\n.*from 1 to 8"):
            require_whole_number("bins", bad, least=1, most=8)
