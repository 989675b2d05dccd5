"""The project uses the terms of the literature: words that it once used instead are found and refused."""

import ast
import re

import pytest

# Old word, and what to write; the full list with reasons is docs/glossary.md.
REPLACED = {
    r"doubt\w*": "uncertainty, predictive entropy, uncertain",
    r"(?:first|second|two|both) readings?|readings|rereads?": "prediction, first pass, two-pass inference",
    r"listen\w*|heard|mistrust\w*": "cross-attention weights, attention gate",
    r"chances?": "stochastic, randomness, probability",
    r"roads?|stations?": "pipeline, stage",
    r"made ready|made_ready": "preprocessed",
    r"foret(?:old|ells?)": "failure indicator, predicts",
    r"promis(?:e|es|ed|ing)": "coverage, calibrated interval",
    r"struck|befall\w*|befell": "with a clot, sampled disease",
    r"ladders?|rungs?": "sigma levels",
    r"anew|shipped": "from scratch, released",
    r"soften\w*": "uncertainty loss",
    r"outlin\w*": "segmentation, lesion mask, contour",
    r"shades?|shaded": "maps the uncertainty",
    r"wander\w*": "SWAG moments",
    r"peaked|peak[ _]threshold|PeakThreshold": "hysteresis, high threshold",
    r"judg(?:e|es|ed|ing)": "evaluate",
    r"unsure": "uncertain",
    r"catalogues?": "registry",
    r"steadied|still_moments": "renormalised",
}
PATTERN = re.compile(r"(?<![A-Za-z])(" + "|".join(REPLACED) + r")(?![A-Za-z])", re.IGNORECASE)
# Names that say nothing of what they hold.
EMPTY_NAMES = {"seen", "told", "said", "found", "made", "kept", "asked", "heard", "about", "how"}
EXEMPT = {"src/adumbra/core/legacy.py", "tests/test_vocabulary.py"}  # and tests of old files, test_legacy.py
FOLDERS = ("src", "tests", "docs", "benchmarks", "trainings")
SUFFIXES = {".py", ".md", ".html", ".toml", ".sh"}


def texts(root):
    """Every text of the project that a user or a developer reads."""
    files = [path for folder in FOLDERS for path in (root / folder).rglob("*") if path.suffix in SUFFIXES]
    files += [root / name for name in ("README.md", "CONTRIBUTING.md", "pyproject.toml", "Makefile", "mkdocs.yml")]
    return {str(p.relative_to(root)): p for p in files if "legacy_files" not in p.parts}


def test_replaced_words_do_not_return(project_root):
    files = texts(project_root)
    assert len(files) > 300
    hits = {}
    for name, path in files.items():
        if name in EXEMPT or path.name == "test_legacy.py":
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if match := PATTERN.search(line):
                hits[f"{name}:{number}"] = match.group()
    assert not hits, "\n".join(f"{place}: {word}" for place, word in hits.items())


def names_bound_in(tree):
    """Variables and parameters, with their lines; fields and keywords of errors are not among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


def test_variables_are_named_for_what_they_hold(project_root):
    hits = []
    for path in sorted((project_root / "src").rglob("*.py")):
        if path.name == "errors.py":  # ``found`` is a part of every error
            continue
        bound = names_bound_in(ast.parse(path.read_text("utf-8")))
        hits += [f"{path.relative_to(project_root)}:{line}: {name}" for name, line in bound if name in EMPTY_NAMES]
    assert not hits, "\n".join(hits)


@pytest.mark.parametrize(
    "term", ["predictive entropy", "mutual information", "aleatoric", "epistemic", "redundancy", "synergy"]
)
def test_terms_of_the_literature_are_in_the_glossary(term, project_root):
    assert term in (project_root / "docs" / "glossary.md").read_text("utf-8").lower()
