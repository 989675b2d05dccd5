"""The layout of the design: every package has its layer, the command line is light, nothing opens a connection."""

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
# Written so that this line does not match itself.
LEFTOVER = re.compile(r"/work[/]|\b(?:TO[D]O|FIX[M]E|XX[X])\b")


@pytest.fixture(scope="module")
def contracts(project_root):
    settings = tomllib.loads((project_root / "pyproject.toml").read_text())
    return {contract["type"]: contract for contract in reversed(settings["tool"]["importlinter"]["contracts"])}


@pytest.fixture(scope="module")
def packages():
    return {module.name for module in pkgutil.iter_modules(adumbra.__path__)}


def run_in_new_process(code):
    """The JSON that a new Python process prints when it runs the code."""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def test_every_package_has_its_layer(contracts, packages):
    layers = contracts["layers"]
    assert layers["exhaustive"] is True
    placed = {name.strip(" ()") for layer in layers["layers"] for name in layer.split("|")}
    assert packages - placed == set()


def test_torch_is_forbidden_in_all_other_packages(contracts, packages):
    (_, *others) = sorted(contracts)  # at least two kinds of contract
    assert others
    forbidden = {name.removeprefix("adumbra.") for name in contracts["forbidden"]["source_modules"]}
    assert "torch" in contracts["forbidden"]["forbidden_modules"]
    assert packages - forbidden == MAY_IMPORT_TORCH & packages


def test_no_other_package_imports_torch(packages):
    """The contract on torch, checked in the sources, independently of the linter."""
    sources = Path(adumbra.__path__[0])
    for path in sources.rglob("*.py"):
        package = path.relative_to(sources).parts[0]
        if package in MAY_IMPORT_TORCH:
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
    codes, loaded = run_in_new_process(code)
    assert codes == [0, 0]
    assert HEAVY & set(loaded) == set()


def test_importing_everything_opens_no_socket(packages):
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
    calls, names = run_in_new_process(code)
    assert {name.split(".")[1] for name in names} == packages
    assert calls == []


def test_no_distribution_requires_torchvision():
    """A torchvision beside a CPU torch dies at import, while ``pip check`` passes."""
    required_by = {}
    pending, visited = ["adumbra"], set()
    while pending:
        name = pending.pop()
        if name in visited:
            continue
        visited.add(name)
        for requirement in _requirements(name):
            required_by.setdefault(requirement, name)
            pending.append(requirement)
    assert "numpy" in required_by
    assert "torchvision" not in required_by, required_by.get("torchvision")


def _requirements(name):
    """Names that an installed distribution requires, without the extras of other distributions, with all of ours."""
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    selected = [line for line in lines if name == "adumbra" or "extra ==" not in line]
    return [re.match(r"[A-Za-z0-9._-]+", line).group().lower().replace("_", "-") for line in selected]


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
    leftovers = {
        str(p.relative_to(project_root)): hit.group()
        for p in texts
        if (hit := LEFTOVER.search(p.read_text(encoding="utf-8")))
    }
    assert leftovers == {}


def test_tests_have_the_tree_of_the_sources(project_root, packages):
    """Every folder of tests belongs to a package, except the contracts."""
    folders = {p.name for p in (project_root / "tests").iterdir() if p.is_dir() and list(p.glob("*.py"))}
    assert folders - packages == {"contracts"} & folders


def test_constraints_pin_everything_that_the_project_requires(project_root):
    settings = tomllib.loads((project_root / "pyproject.toml").read_text())["project"]
    lists = [settings["dependencies"], *settings["optional-dependencies"].values()]
    required = {re.match(r"[A-Za-z0-9._-]+", r).group().lower().replace("_", "-") for group in lists for r in group}
    lines = [
        line
        for name in ("constraints.txt", "constraints-cpu.txt")
        for line in (project_root / name).read_text().splitlines()
    ]
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line and not line.startswith("#")
    }
    assert required - pinned == {"adumbra"}
    assert "torch==2.13.0" in lines
