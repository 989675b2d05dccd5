"""Every advice of an error names only options of the command that printed it."""

import ast
import json
import re

import pytest

from adumbra.cli.advice import MANIFEST, adapted_advice, adapted_error
from adumbra.cli.main import _accepted, app, main
from adumbra.core.errors import MissingInput

COMMANDS = ("predict", "simulate", "train", "calibrate", "evaluate", "evaluate-uncertainty", "information", "report",
            "validate")  # fmt: skip
OPTION = re.compile(r"--[a-z][a-z0-9-]*")


@pytest.fixture(scope="module")
def advices(project_root):
    """The text of every argument ``do=`` in the sources that names an option, without what is computed."""
    return list(texts_of_advice(project_root))


def texts_of_advice(root):
    for path in sorted((root / "src/adumbra").rglob("*.py")):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)) if " --" in source else ():
            if isinstance(node, ast.keyword) and node.arg == "do":
                constants = [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
                yield path.name, " ".join(text for text in constants if isinstance(text, str))


def test_every_option_in_an_advice_exists_in_some_command(advices):
    accepted = set().union(*(_accepted([command]) for command in COMMANDS))
    assert sum(bool(OPTION.search(text)) for _, text in advices) > 10
    unknown = {(name, option) for name, text in advices for option in OPTION.findall(text) if option not in accepted}
    assert not unknown


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_an_option_that_it_lacks(advices, command):
    assert command in app
    accepted = _accepted([command])
    for _, text in advices:
        advice = adapted_advice(text, command, accepted)
        assert set(OPTION.findall(advice)) - {"--help"} <= accepted
        assert advice.strip() or not text.strip()


def test_clauses_are_dropped_and_a_manifest_does_the_same():
    accepted = {"--data", "--threads"}
    assert adapted_advice("rename them, or name each: --dwi FILE", "train", accepted) == f"rename them, or {MANIFEST}"
    assert adapted_advice("give --b-value B, or --adc FILE", "information", accepted) == MANIFEST
    assert adapted_advice("export it again, or pass --nan-to-zero", "train", accepted) == "export it again"
    assert adapted_advice("name one of them: --row ID", "train", accepted) == "see adumbra train --help"
    assert adapted_advice("state it with --threads 2", "train", accepted) == "state it with --threads 2"


def test_the_error_keeps_its_kind_and_its_other_parts():
    error = MissingInput("case", expected="e", found="f", do="give --dwi FILE")
    adapted = adapted_error(error, "information", {"--out"})
    assert type(adapted) is MissingInput
    assert (adapted.where, adapted.expected, adapted.found, adapted.do) == ("case", "e", "f", MANIFEST)
    assert adapted_error(error, "predict", {"--dwi"}) is error


def test_the_command_prints_the_advice_that_it_can_follow(tmp_path, capsys, monkeypatch):
    def refuse(path):
        raise MissingInput(
            "sub-1", expected="BIDS names", found="sub-1_T1w", do="rename them, or name each: --dwi FILE"
        )

    monkeypatch.setattr("adumbra.cases.registry.find_cases", refuse)
    assert main(["information", str(tmp_path), "--out", str(tmp_path / "page.html"), "--json"]) == 4
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert error["kind"] == "MissingInput"
    assert error["do"] == f"rename them, or {MANIFEST}"
    assert MANIFEST in err
    assert "--dwi" not in err
