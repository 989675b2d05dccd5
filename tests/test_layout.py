"""The layout as the design has it: everything is placed, the command line is light, nothing calls out."""

import ast
import importlib.metadata
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import adumbra

HEAVY = {
    "torch",
    "monai",
    "SimpleITK",
    "nibabel",
    "nilearn",
    "scipy",
    "skimage",
    "sklearn",
    "matplotlib",
    "pandas",
    "numpy",
}
MAY_IMPORT_TORCH = {"networks", "inference", "training", "posterior", "fusion", "blur", "diffusion"}
# Spelt so that this line does not find itself.
LEFTOVER = re.compile(r"/work[/]|\b(?:TO[D]O|FIX[M]E|XX[X])\b")


@pytest.fixture(scope="module")
def contracts(project_root):
    settings = tomllib.loads((project_root / "pyproject.toml").read_text())
    return {contract["type"]: contract for contract in reversed(settings["tool"]["importlinter"]["contracts"])}


@pytest.fixture(scope="module")
def stations():
    return {module.name for module in pkgutil.iter_modules(adumbra.__path__)}


def fresh(code):
    """What a new Python prints when it runs the code, as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_module_has_its_layer(contracts, stations):
    layers = contracts["layers"]
    assert layers["exhaustive"] is True
    placed = {name.strip(" ()") for layer in layers["layers"] for name in layer.split("|")}
    assert stations - placed == set()


def test_torch_is_forbidden_to_all_but_four(contracts, stations):
    (_, *others) = sorted(contracts)  # at least two kinds of contract
    assert others
    kept_from = {name.removeprefix("adumbra.") for name in contracts["forbidden"]["source_modules"]}
    assert "torch" in contracts["forbidden"]["forbidden_modules"]
    assert stations - kept_from == MAY_IMPORT_TORCH & stations


def test_the_contract_is_not_only_written_but_true(stations):
    """The linter's word on torch, checked by a second reading of the sources."""
    sources = Path(adumbra.__path__[0])
    for path in sources.rglob("*.py"):
        station = path.relative_to(sources).parts[0]
        if station in MAY_IMPORT_TORCH:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in {"torch", "monai"}], path


def test_help_imports_nothing_heavy():
    code = (
        "import sys, json, io, contextlib\n"
        "from adumbra.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    codes = [main(['--help']), main(['predict', '--help'])]\n"
        "print(json.dumps([codes, sorted(m for m in sys.modules if '.' not in m)]))"
    )
    codes, loaded = fresh(code)
    assert codes == [0, 0]
    assert HEAVY & set(loaded) == set()


def test_importing_everything_opens_no_socket(stations):
    code = """
import sys, json, pkgutil, importlib
calls = []
watched = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")
sys.addaudithook(lambda event, arguments: calls.append(event) if event in watched else None)
import adumbra
names = [m.name for m in pkgutil.walk_packages(adumbra.__path__, "adumbra.")]
for name in names:
    importlib.import_module(name)
print(json.dumps([calls, names]))
"""
    calls, names = fresh(code)
    assert {name.split(".")[1] for name in names} == stations
    assert calls == []


def test_nothing_asks_for_torchvision():
    """A torchvision beside a CPU torch dies at import, while ``pip check`` passes."""
    asked = {}
    ahead, seen = ["adumbra"], set()
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        for requirement in _requirements(name):
            asked.setdefault(requirement, name)
            ahead.append(requirement)
    assert "numpy" in asked
    assert "torchvision" not in asked, asked.get("torchvision")


def _requirements(name):
    """Names that an installed distribution requires, extras of others left out; ours with all extras."""
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    kept = [line for line in lines if name == "adumbra" or "extra ==" not in line]
    return [re.match(r"[A-Za-z0-9._-]+", line).group().lower().replace("_", "-") for line in kept]


def test_no_torchvision_is_installed():
    installed = {(d.metadata["Name"] or "").lower() for d in importlib.metadata.distributions()}
    assert "torchvision" not in installed


def test_no_leftovers(project_root):
    texts = [
        p
        for folder in ("src", "tests", "docs")
        for p in (project_root / folder).rglob("*")
        if p.suffix in {".py", ".md", ".json", ".html"}
    ]
    assert texts
    found = {
        str(p.relative_to(project_root)): hit.group()
        for p in texts
        if (hit := LEFTOVER.search(p.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_every_test_stands_where_its_module_stands(project_root, stations):
    """``tests/<station>/``: a folder of tests for a folder that does not exist is a leftover."""
    folders = {p.name for p in (project_root / "tests").iterdir() if p.is_dir() and list(p.glob("*.py"))}
    assert folders - stations == {"contracts"} & folders


def test_limits_pin_everything_the_project_asks_for(project_root):
    settings = tomllib.loads((project_root / "pyproject.toml").read_text())["project"]
    lists = [settings["dependencies"], *settings["optional-dependencies"].values()]
    asked = {re.match(r"[A-Za-z0-9._-]+", r).group().lower().replace("_", "-") for group in lists for r in group}
    lines = [
        line
        for name in ("constraints.txt", "constraints-cpu.txt")
        for line in (project_root / name).read_text().splitlines()
    ]
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line and not line.startswith("#")
    }
    assert asked - pinned == {"adumbra"}
    assert "torch==2.13.0" in lines
