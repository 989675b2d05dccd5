"""Every textbook example, by both measures, against the atoms of its reference."""

import numpy as np
import pytest

from adumbra.core.references import REFERENCES
from adumbra.information.pid import broja, williams_beer
from adumbra.information.pid.examples import EXAMPLES, of_outcomes
from information.distributions import stacked, stored

SAME = {"XOR-AND": "XORAND", "RDN-XOR": "RDNXOR", "RDN-UNQ-XOR": "RDNUNQXOR", "PW-UNQ": "PWUNQ"}
SAME |= {"COPY": "COPY_corr_0.25", "WB-4A": "WB_fig4A", "WB-4B": "WB_fig4B"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_published_atoms(name):
    example = EXAMPLES[name]
    for measure, parts in ((williams_beer, example.williams_beer), (broja, example.broja)):
        if parts is not None:
            expected = [parts.redundancy, parts.unique_1, parts.unique_2, parts.synergy]
            found = measure.atoms(example.p)
            assert stacked(found) == pytest.approx(expected, abs=float(found.gap) + 1e-14)
            assert found.gap < 1e-10


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_distribution_with_a_reference(name):
    example = EXAMPLES[name]
    assert example.p.sum() == pytest.approx(1.0, abs=1e-15)
    assert example.source in REFERENCES
    with pytest.raises(ValueError, match="read-only"):
        example.p[0, 0, 0] = 1.0


def test_the_same_examples_are_stored_with_the_same_atoms(shared_data):
    """Symbols may have other names there, so masses are compared in order."""
    known = {name: (p, *parts) for name, p, *parts in stored(shared_data)}
    for name, example in EXAMPLES.items():
        p, i_min, unique = known[SAME.get(name, name)]
        assert np.sort(p[p > 0]) == pytest.approx(np.sort(example.p[example.p > 0]))
        assert [*vars(example.williams_beer).values()] == pytest.approx(i_min.tolist(), abs=1e-12)
        if example.broja is not None:
            assert [*vars(example.broja).values()] == pytest.approx(unique.tolist(), abs=1e-10)


def test_an_outcome_listed_twice_is_twice_as_likely():
    p = of_outcomes([(0, 0, 0), (0, 0, 0), (1, 0, 1)])
    assert p.shape == (2, 1, 2)
    assert p[0, 0, 0] == pytest.approx(2 / 3)


def test_the_docs_list_them(project_root):
    page = (project_root / "docs/explanation/information.md").read_text()
    for name, example in EXAMPLES.items():
        atoms = [digits(parts) for parts in (example.williams_beer, example.broja)]
        cells = [name, example.rule, *atoms, example.source]
        assert "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|" in page, name


def digits(parts) -> str:
    return ", ".join(f"{value:.4f}".rstrip("0").rstrip(".") for value in vars(parts).values()) if parts else ""
