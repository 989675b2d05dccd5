"""The front door: every public name is there, documented, and loaded only when it is used."""

import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import adumbra


def run(code):
    """What a new Python prints for the code, parsed as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_package_loads_neither_torch_nor_numpy():
    loaded = run("import adumbra, json, sys; print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))")
    assert {"torch", "numpy", "scipy", "nibabel"} & set(loaded) == set()


def test_the_main_functions_are_there():
    names = run("import adumbra, json; print(json.dumps([adumbra.predict.__name__, adumbra.pid.__name__]))")
    assert names == ["predict", "pid"]


@pytest.mark.parametrize("name", [name for name in adumbra.__all__ if name != "__version__"])
def test_every_public_name_is_documented(name):
    value = getattr(adumbra, name)
    assert value.__doc__
    assert name in dir(adumbra)


def test_the_lists_of_public_names_agree():
    assert sorted(adumbra._HOMES) == sorted(set(adumbra.__all__) - {"__version__"})
    source = Path(adumbra.__file__).read_text("utf-8")
    checked = source.partition("if TYPE_CHECKING:")[2].partition("__version__")[0]
    assert all(f" {name}" in checked for name in adumbra._HOMES), "type checkers see every name"
    assert typing.TYPE_CHECKING is False


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = adumbra.no_such_name
