"""The decomposition of Williams and Beer, on two sources and on the lattice of three."""

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.pid import williams_beer
from adumbra.information.pid.lattice import antichains, below
from adumbra.information.shannon import table_mutual_information
from information.distributions import KINDS, filled, random_distribution, stacked, stored

CASES = st.tuples(
    st.sampled_from(KINDS), st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31)
)


def case(kind, T, X, Y, seed) -> np.ndarray:
    return random_distribution(kind, (T, X, Y), np.random.default_rng(seed))


def by_definition(p: np.ndarray) -> float:
    """I_min: the mean over the symbols of the target of the least specific information of a source."""
    total = 0.0
    for t, row in enumerate(p):
        specific = []
        for joint, alone in ((row.sum(1), p.sum((0, 2))), (row.sum(0), p.sum((0, 1)))):
            used = joint > 0
            specific.append(np.sum(joint[used] * np.log2(joint[used] / alone[used] / p[t].sum())))
        total += min(specific)
    return total


def test_the_stored_atoms(shared_data):
    for name, p, expected, _ in stored(shared_data):
        assert stacked(williams_beer.atoms(p)) == pytest.approx(expected, abs=1e-12), name


def test_the_stored_lattices(shared_data):
    for one in json.loads((shared_data / "pid_truth.json").read_text())["three_source_imin"]:
        shape = np.array([cell[:-1] for cell in one["p"]]).astype(int).max(axis=0) + 1
        found = williams_beer.lattice(filled(one["p"], shape)).atoms
        named = {"".join("{" + ",".join(str(i - 1) for i in a) + "}" for a in node): found[node] for node in found}
        assert named.keys() == one["imin_atoms"].keys()
        for node, expected in one["imin_atoms"].items():
            assert named[node] == pytest.approx(expected, abs=1e-12), (one["name"], node)


@given(CASES)
def test_identities_and_the_definition(random_case):
    p = case(*random_case)
    found = williams_beer.atoms(p)
    first, second, both = (table_mutual_information(table) for table in (p.sum(2), p.sum(1), p.reshape(p.shape[0], -1)))
    assert found.redundancy == pytest.approx(by_definition(p), abs=1e-12)
    assert found.redundancy + found.unique_1 == pytest.approx(float(first), abs=1e-12)
    assert found.redundancy + found.unique_2 == pytest.approx(float(second), abs=1e-12)
    assert stacked(found).sum() == pytest.approx(float(both), abs=1e-12)
    assert stacked(found).min() >= 0.0
    assert found.gap == 0.0


@given(CASES)
def test_relabelling_splitting_and_swapping(random_case):
    p = case(*random_case)
    rng = np.random.default_rng(random_case[-1])
    found = stacked(williams_beer.atoms(p))
    T, X, Y = (rng.permutation(size) for size in p.shape)
    assert stacked(williams_beer.atoms(p[np.ix_(T, X, Y)])) == pytest.approx(found, abs=1e-12)
    cut = np.concatenate([p[:, :-1], 0.25 * p[:, -1:], 0.75 * p[:, -1:]], axis=1)
    assert stacked(williams_beer.atoms(cut)) == pytest.approx(found, abs=1e-12)
    assert stacked(williams_beer.atoms(p.swapaxes(1, 2)))[[0, 2, 1, 3]] == pytest.approx(found, abs=1e-12)


def test_a_batch_gives_the_atoms_of_its_problems(rng):
    p = np.stack([random_distribution("sparse", (3, 4, 5), rng) for _ in range(6)]).reshape(2, 3, 3, 4, 5)
    found = williams_beer.atoms(p)
    assert found.gap.shape == found.redundancy.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        assert stacked(williams_beer.atoms(p[i, j])) == pytest.approx(stacked(found)[:, i, j], abs=1e-15)
    assert williams_beer.atoms(p[:, :0]).synergy.shape == (2, 0)


@given(CASES)
def test_the_lattice_of_two_sources_has_the_same_atoms(random_case):
    p = case(*random_case)
    found = williams_beer.lattice(p, sources=2)
    expected = stacked(williams_beer.atoms(p))
    assert [float(atom) for atom in found.atoms.values()] == pytest.approx(expected.tolist(), abs=1e-12)
    assert found.redundancies[(1,), (2,)] == pytest.approx(expected[0], abs=1e-12)


def test_three_sources_add_up(rng):
    """The atoms at and below a node sum to its redundancy, and no atom is below 0."""
    p = np.stack([rng.dirichlet(np.full(54, 0.3)).reshape(2, 3, 3, 3) for _ in range(300)])
    found = williams_beer.lattice(p)
    assert min(atom.min() for atom in found.atoms.values()) >= 0.0
    for node in antichains(3):
        sums = sum(found.atoms[lower] for lower in antichains(3) if below(lower, node))
        assert np.abs(sums - found.redundancies[node]).max() < 1e-12
    assert np.abs(found.redundancies[((2,),)] - table_mutual_information(p.sum((2, 4)))).max() < 1e-12
    assert np.abs(found.redundancies[((1, 3),)] - table_mutual_information(p.sum(3).reshape(-1, 2, 9))).max() < 1e-12
    assert np.abs(sum(found.atoms.values()) - table_mutual_information(p.reshape(-1, 2, 27))).max() < 1e-12


def test_three_sources_of_which_two_are_equal(rng):
    """Z = X: what Z shares with Y, X shares with Y, and Z adds nothing to a set that contains X."""
    p = random_distribution("dense", (2, 3, 3), rng)
    copied = np.zeros((2, 3, 3, 3))
    for t, x, y in product(range(2), range(3), range(3)):
        copied[t, x, y, x] = p[t, x, y]
    found, two = williams_beer.lattice(copied), williams_beer.lattice(p, sources=2)
    assert found.redundancies[(1,), (2,), (3,)] == pytest.approx(float(two.redundancies[(1,), (2,)]), abs=1e-14)
    assert found.redundancies[((1, 2, 3),)] == pytest.approx(float(two.redundancies[((1, 2),)]), abs=1e-14)
    assert found.atoms[((1, 3),)] == pytest.approx(0.0, abs=1e-14)


def test_the_parity_of_three_bits_is_pure_synergy():
    p = np.zeros((2, 2, 2, 2))
    for x, y, z in product(range(2), repeat=3):
        p[x ^ y ^ z, x, y, z] = 1 / 8
    found = williams_beer.lattice(p)
    assert found.atoms[((1, 2, 3),)] == 1.0
    assert sum(float(atom) for atom in found.atoms.values()) == 1.0
    with pytest.raises(TypeError):
        found.atoms[((1, 2, 3),)] = 0.0  # the mapping is read-only


def test_invalid_input_names_the_argument(rng):
    p = random_distribution("dense", (2, 3, 3), rng)
    for bad, error in ((-p, ImplausibleValues), (p * 400, ImplausibleValues), (p[0], InputRejected)):
        with pytest.raises(error, match=r"^p\n"):
            williams_beer.atoms(bad)
    with pytest.raises(InputRejected, match=r"^p\n"):
        williams_beer.lattice(p)
