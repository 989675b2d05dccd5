"""Help and errors of usage are shown before any heavy library is loaded."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "numpy", "scipy", "SimpleITK", "nibabel", "numba", "matplotlib", "skimage", "nilearn", "jinja2"}
PROGRAM = """
import json, sys
from adumbra.cli.main import main
code = main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize(
    ("arguments", "code", "needed"),
    [
        (["--help"], 0, set()),
        (["predict", "--help"], 0, set()),
        (["predict", "case", "--out", "out", "--nope"], 2, {"numpy"}),  # for the earlier names of options
    ],
)
def test_no_heavy_library_is_loaded(arguments: list[str], code: int, needed: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    exit_code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert exit_code == code
    assert HEAVY & set(loaded) <= needed
