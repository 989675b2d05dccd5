"""The function ``pid`` and the names that ``adumbra.information`` exports."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import adumbra.information
from adumbra.core.errors import InputRejected
from adumbra.information.decompose import pid
from adumbra.information.pid import broja, williams_beer
from adumbra.information.pid.examples import EXAMPLES
from information.distributions import stacked


@pytest.mark.parametrize(
    ("method", "atoms"), [("broja", broja.atoms), ("williams-beer", williams_beer.atoms), ("imin", williams_beer.atoms)]
)
def test_each_method_is_its_measure(method, atoms):
    for example in EXAMPLES.values():
        assert np.array_equal(stacked(pid(example.p, method)), stacked(atoms(example.p)))


def test_broja_is_the_default():
    p = EXAMPLES["UNQ"].p
    assert (pid(p).unique_1, pid(p).unique_2) == (1.0, 1.0)


def test_an_unknown_method_is_refused():
    with pytest.raises(InputRejected, match="method"):
        inspect.unwrap(pid)(EXAMPLES["XOR"].p, "ccs")  # without the type checks of the tests


def test_union_information_and_co_information_by_hand():
    """XOR has one bit of synergy, RDN one bit of redundancy, UNQ two bits of unique information."""
    for name, union, co in (("XOR", 0.0, -1.0), ("RDN", 1.0, 1.0), ("UNQ", 2.0, 0.0)):
        atoms = pid(EXAMPLES[name].p)
        assert atoms.union_information == pytest.approx(union, abs=1e-12)
        assert atoms.co_information == pytest.approx(co, abs=1e-12)


def test_every_exported_name_exists_and_is_listed():
    for name in adumbra.information.__all__:
        assert getattr(adumbra.information, name) is not None
        assert name in dir(adumbra.information)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(adumbra.information, "nothing")  # noqa: B009


def test_the_package_loads_nothing_until_a_name_is_used():
    code = "import sys, adumbra.information; assert 'numba' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
