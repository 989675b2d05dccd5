"""What every verdict of the gate must be, whatever the input: one line with the file and a number, and no defect."""

import re

import pytest

from adumbra.gate.registry import validate

# Findings that have no number: a name, a key, a file that is not there.
WITHOUT_NUMBERS = r"\d|no such|a folder|link|sidecar|the name|pair|same bytes| and |columns|unknown key|CRC"


@pytest.fixture
def require_verdict():
    """Builds an entry of the corpus and compares the verdict on it."""

    def check(entry, folder):
        paths = entry.build(folder)
        verdicts = validate(paths, kind=entry.kind, modality=entry.modality)
        lines = "\n".join(line for verdict in verdicts for line in verdict.lines)
        worst = max((verdict.status for verdict in verdicts), key=("valid", "warning", "refused").index)
        assert worst == entry.verdict, lines
        assert "Defect" not in [refusal.error for verdict in verdicts for refusal in verdict.refusals], lines
        assert re.search(entry.words, lines), lines
        for verdict in verdicts:
            for line in verdict.lines:
                assert "\n" not in line
            for refusal in verdict.refusals:
                assert refusal.where
                assert refusal.expected
                assert refusal.do
                named = [path.name for path in paths] + [path.stem for path in paths]
                named += [p.name for path in paths if path.is_dir() for p in path.rglob("*")]
                assert any(name in refusal.line for name in named), refusal.line
                without_names = refusal.line
                for name in sorted((name for name in named if "." in name), key=len, reverse=True):
                    without_names = without_names.replace(name, "")
                assert re.search(WITHOUT_NUMBERS, without_names), refusal.line

    return check
