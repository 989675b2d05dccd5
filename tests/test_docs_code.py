"""The code of the documentation is correct: Python blocks run, command lines parse, and the files they name exist.

The blocks of one page share their names, from top to bottom. They run in an empty folder that contains the files which
lie in folders beside the page. A page hides a block with ``<!--- invisible-code-block: python ... -->``, and skips one
with ``<!--- skip: next "the reason" -->``.
"""

import importlib.util
import pkgutil
import re
import shlex
import shutil
import unittest
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from adumbra.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(page.relative_to(ROOT).as_posix() for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LANGUAGES = {"python", "shell", "text", "json", "csv", "yaml", "bibtex"}
OPERATORS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>"}


def commands(block):
    """The commands of a shell block as lists of words, without prompts, comments, variables and redirections."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
        words.whitespace_split = True
        command = []
        for word in [*words, ";"]:
            if word not in OPERATORS:
                command.append(word)
                continue
            while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
                del command[0]
            if command:
                yield command
            command = []


def check_shell(example):
    """Parses the arguments of every command, and looks for the files, modules and make targets that it names."""
    place = f"{example.path}:{example.line}"
    for command in commands(example.parsed):
        match command:
            case ["adumbra", *arguments]:
                app.parse_args(arguments, exit_on_error=False, print_error=False)
            case ["python", "-m", module, *_] if module.startswith("adumbra"):
                assert importlib.util.find_spec(module), f"{place}: no module {module}"
            case ["python", file, *_] if file.endswith(".py"):
                assert (ROOT / file).is_file(), f"{place}: no file {file}"
            case [program, file, *_] if program.endswith("pytest") and file.endswith(".py"):
                assert (ROOT / file).is_file(), f"{place}: no file {file}"
            case ["make", *targets]:
                rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
                assert {target for target in targets if "=" not in target} <= rules, place


EXAMPLES = Sybil(
    [CodeBlockParser("python", PythonEvaluator()), CodeBlockParser("shell", check_shell), SkipParser()],
    patterns=["*.md"],
    path=str(ROOT),
)


def copy_neighbours(page, folder):
    """Copies the folders beside a page that contain no pages, such as example files, under their own names."""
    for neighbour in page.parent.iterdir():
        if (
            page.parent != ROOT
            and neighbour.is_dir()
            and neighbour.name != "images"
            and not list(neighbour.rglob("*.md"))
        ):
            shutil.copytree(neighbour, folder / neighbour.name)


def test_there_are_pages():
    assert "README.md" in PAGES
    assert sum(page.startswith("docs/tutorials/") for page in PAGES) >= 6


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    examples = list(EXAMPLES.parse(ROOT / page).examples())
    if any(isinstance(example.region.evaluator, PythonEvaluator) for example in examples):
        copy_neighbours(ROOT / page, tmp_path)
    monkeypatch.chdir(tmp_path)
    for example in examples:
        try:
            example.evaluate()
        except unittest.SkipTest:  # a block that its page skips; the blocks after it still run
            continue


@pytest.mark.parametrize("page", PAGES)
def test_a_block_names_its_language(page):
    fences = re.findall(r"^ *```+(.*)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert {fence.split()[0] if fence.strip() else "" for fence in fences[::2]} <= LANGUAGES


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("adumbra report DIR  # again", [["adumbra", "report", "DIR"]]),
        ("$ adumbra predict CASE \\\n    --out DIR", [["adumbra", "predict", "CASE", "--out", "DIR"]]),
        ("A=1 adumbra evaluate --pred 'my dir' | less", [["adumbra", "evaluate", "--pred", "my dir"], ["less"]]),
        ("# only a comment", []),
    ],
)
def test_commands_of_a_block(block, expected):
    assert list(commands(block)) == expected


def names_in_backticks(page):
    return set(re.findall(r"`([^`\n]+)`", (ROOT / page).read_text("utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_names_exist(page):
    """Paths count from the root of the project, or from ``src/adumbra``."""
    paths = {
        name for name in names_in_backticks(page) if re.fullmatch(r"[\w.-]+(/[\w.-]+)+\.(py|sh|md|json|csv)", name)
    }
    if page == "CHANGELOG.md" or "site/" in page:
        return
    homes = (ROOT, ROOT / "src" / "adumbra", (ROOT / page).parent)
    assert {path for path in paths if not any((home / path).is_file() for home in homes)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_the_names_of_the_package_that_a_page_uses_exist(page):
    for name in names_in_backticks(page):
        if re.fullmatch(r"adumbra(\.\w+)+", name):
            assert pkgutil.resolve_name(name) is not None
