"""The decomposition of Bertschinger et al.: known atoms, identities, symmetries, degenerate and invalid input."""

from fractions import Fraction
from itertools import accumulate, pairwise
from math import fsum, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import citations
from adumbra.information.pid import broja
from adumbra.information.pid.blackwell import binary_union_information
from adumbra.information.shannon import BITS, table_mutual_information
from information.distributions import KINDS, of_low_prevalence, random_distribution, stacked, stored

CASES = st.tuples(
    st.sampled_from(KINDS), st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31)
)


def case(kind, T, X, Y, seed) -> np.ndarray:
    return random_distribution(kind, (T, X, Y), np.random.default_rng(seed))


def informations(p: np.ndarray) -> list[np.ndarray]:
    both = p.reshape(*p.shape[:-2], -1)
    return [table_mutual_information(table) for table in (p.sum(-1), p.sum(-2), both)]


def test_the_stored_atoms(shared_data):
    for name, p, _, expected in stored(shared_data):
        found = broja.atoms(p)
        assert stacked(found) == pytest.approx(expected, abs=1e-10), name
        assert found.gap <= 1e-10, name


@pytest.mark.parametrize("T", [2, 3, 5])
def test_the_identities_of_thousands_of_distributions(T, rng):
    for X, Y in ((2, 2), (3, 5), (6, 4)):
        p = rng.dirichlet(np.full(T * X * Y, 0.5), 1000 if T == 2 else 200).reshape(-1, T, X, Y)
        found = broja.atoms(p)
        first, second, both = informations(p)
        redundancy, unique_1, unique_2, synergy = stacked(found)
        assert np.abs(redundancy + unique_1 - first).max() < 1e-12
        assert np.abs(redundancy + unique_2 - second).max() < 1e-12
        assert np.abs(redundancy + unique_1 + unique_2 + synergy - both).max() < 1e-12
        assert stacked(found).min() >= 0.0
        assert found.gap.max() <= 1.5e-10


@given(CASES)
def test_the_identities_and_the_certificate_of_any_kind(random_case):
    p = case(*random_case)
    found = broja.atoms(p)
    first, second, both = informations(p)
    assert found.redundancy + found.unique_1 == pytest.approx(float(first), abs=1e-12)
    assert found.redundancy + found.unique_2 == pytest.approx(float(second), abs=1e-12)
    assert stacked(found).sum() == pytest.approx(float(both), abs=1e-12)
    assert stacked(found).min() >= 0.0
    assert 0.0 <= found.gap <= 1.5e-10


@given(CASES)
def test_atoms_are_invariant_under_relabelling(random_case):
    p = case(*random_case)
    rng = np.random.default_rng(random_case[-1])
    T, X, Y = (rng.permutation(size) for size in p.shape)
    assert stacked(broja.atoms(p[np.ix_(T, X, Y)])) == pytest.approx(stacked(broja.atoms(p)), abs=3e-10)


@given(CASES)
def test_splitting_a_symbol_changes_nothing(random_case):
    """A symbol of a source is split in the proportion 1 to 3, independently of the other variables."""
    p = case(*random_case)
    for axis in (1, 2):
        head, tail = np.split(p, [p.shape[axis] - 1], axis=axis)
        cut = np.concatenate([head, 0.25 * tail, 0.75 * tail], axis=axis)
        assert stacked(broja.atoms(cut)) == pytest.approx(stacked(broja.atoms(p)), abs=3e-10)


@given(CASES)
def test_swapped_sources_swap_their_unique_information(random_case):
    p = case(*random_case)
    found, swapped = broja.atoms(p), broja.atoms(p.swapaxes(-1, -2))
    assert stacked(swapped)[[0, 2, 1, 3]] == pytest.approx(stacked(found), abs=3e-10)


@given(CASES)
def test_all_atoms_but_synergy_depend_on_the_marginals_only(random_case):
    """The marginals (T, X) and (T, Y) are kept, and the sources made independent given the target."""
    p = case(*random_case)
    of_t = p.sum((1, 2))[:, None, None]
    loosened = np.divide(p.sum(2)[:, :, None] * p.sum(1)[:, None, :], of_t, out=np.zeros_like(p), where=of_t > 0)
    assert stacked(broja.atoms(loosened))[:3] == pytest.approx(stacked(broja.atoms(p))[:3], abs=3e-10)


def test_a_binary_target_is_exact_and_the_others_are_certified(rng):
    binary, ternary = (np.stack([random_distribution("dense", (T, 4, 4), rng) for _ in range(20)]) for T in (2, 3))
    assert broja.atoms(binary).gap.max() < 1e-14
    assert 0.0 < broja.atoms(ternary).gap.max() <= 1.5e-10
    union = BITS * binary_union_information(binary.sum(3), binary.sum(2))
    assert stacked(broja.atoms(binary))[:3].sum(0) == pytest.approx(union, abs=1e-14)


def test_each_problem_of_a_batch_is_solved_by_its_own_method(rng):
    """One or two of three symbols of the target may have no mass: the gap shows which method was used."""
    p = np.stack([random_distribution("dense", (3, 3, 4), rng) for _ in range(12)]).reshape(3, 4, 3, 3, 4)
    p[1, :, 1] = 0.0
    p[2, :, :2] = 0.0
    p /= p.sum((-3, -2, -1), keepdims=True)
    found = broja.atoms(p)
    assert found.gap.shape == found.synergy.shape == (3, 4)
    assert (found.gap[0] > 1e-13).all()
    assert (found.gap[1:] < 1e-14).all()
    assert np.abs(stacked(found)[:, 2]).max() == 0.0
    for i, j in np.ndindex(3, 4):
        assert stacked(broja.atoms(p[i, j])) == pytest.approx(stacked(found)[:, i, j], abs=1e-10)
    assert stacked(broja.atoms(p[1][:, [0, 2]])) == pytest.approx(stacked(found)[:, 1], abs=1e-14)
    assert broja.atoms(p[:0]).synergy.shape == (0, 4)


@pytest.mark.parametrize("T", [1, 2, 3, 5])
def test_one_symbol_alphabets_are_exact(T, rng):
    """A source of one symbol has no information, and there is none about a target of one symbol."""
    for shape in ((T, 1, 4), (T, 4, 1), (T, 1, 1), (1, 4, 4)):
        p = random_distribution("dense", shape, rng)
        found = broja.atoms(p)
        first, second, _ = informations(p)
        assert (found.redundancy, found.synergy) == (0.0, 0.0)
        assert (found.unique_1, found.unique_2) == (pytest.approx(float(first)), pytest.approx(float(second)))
        assert found.gap < 1e-14


@pytest.mark.parametrize("T", [2, 4])
def test_uninformative_sources_are_exact(T, rng):
    nothing = rng.dirichlet(np.ones(T))[:, None, None] * rng.dirichlet(np.ones(12)).reshape(3, 4)
    assert np.abs(stacked(broja.atoms(nothing))).max() == 0.0
    independent = random_distribution("dense", (T, 3, 1), rng) * rng.dirichlet(np.ones(4))  # Y is independent
    found = broja.atoms(independent)
    assert (found.redundancy, found.unique_2, found.synergy) == (0.0, 0.0, 0.0)
    assert found.unique_1 == pytest.approx(float(table_mutual_information(independent.sum(2))), abs=1e-15)


@pytest.mark.parametrize("T", [2, 3])
def test_a_source_equal_to_the_target_leaves_no_unique_information(T, rng):
    """X = T: all information of the other source is redundant, and there is no synergy."""
    p = np.zeros((T, T, 4))
    p[range(T), range(T)] = rng.dirichlet(np.ones(4 * T)).reshape(T, 4)
    found = broja.atoms(p)
    assert (found.unique_2, found.synergy) == (0.0, 0.0)
    assert found.redundancy == pytest.approx(float(table_mutual_information(p.sum(1))), abs=1e-15)


def test_a_markov_chain_has_no_synergy_and_no_unique_information_at_its_end(rng):
    """T - X - Y: Y is a garbling of X."""
    for T in (2, 3, 4):
        found = broja.atoms(np.stack([random_distribution("chain", (T, 4, 3), rng) for _ in range(20)]))
        assert found.unique_2.max() <= 1e-10
        assert found.synergy.max() <= 1e-10


def test_low_prevalence_keeps_its_precision(rng):
    """From 0.05 % of lesion on, the atoms of a table and of a rearranged table agree.

    Split symbols, another order and swapped sources change no atom by 1e-12.
    """
    for prevalence in (5e-4, 2e-3, 1e-2):
        p = of_low_prevalence(rng, prevalence=prevalence, bins=16, voxels=400_000)
        found = stacked(broja.atoms(p))
        assert 1e-6 < found.sum() < 0.1
        told_otherwise = np.concatenate([0.5 * p, 0.5 * p], axis=1)[::-1, ::-1]
        assert stacked(broja.atoms(told_otherwise)) == pytest.approx(found, abs=1e-13)
        swapped = stacked(broja.atoms(p.swapaxes(1, 2)))
        assert swapped[[0, 2, 1, 3]] == pytest.approx(found, abs=1e-13)


def exact(counts: np.ndarray) -> list[float]:
    """The atoms of counts (2, X, Y): hull and ratios in exact fractions, only logarithms in floating point."""

    def information(columns) -> float:
        rows = [sum(column[t] for column in columns) for t in (0, 1)]
        terms = [(n, Fraction(n * sum(rows), rows[t] * sum(c))) for c in columns for t, n in enumerate(c) if n]
        return fsum(n * log2(ratio) for n, ratio in terms) / sum(rows)

    tables = [[tuple(map(int, column)) for column in counts.sum(axis).T] for axis in (2, 1)]
    points = {(0, 0)}
    for table in tables:
        steps = sorted((c for c in table if sum(c)), key=lambda c: Fraction(c[1], sum(c)), reverse=True)
        points |= set(accumulate(steps, lambda point, step: (point[0] + step[0], point[1] + step[1])))
    hull = []
    for u, v in sorted(points):
        while len(hull) > 1 and (hull[-1][0] - hull[-2][0]) * (v - hull[-2][1]) >= (hull[-1][1] - hull[-2][1]) * (
            u - hull[-2][0]
        ):
            hull.pop()
        hull.append((u, v))
    union = information([(c - a, d - b) for (a, b), (c, d) in pairwise(hull)])
    first, second, both = (
        information(table) for table in (*tables, list(map(tuple, counts.reshape(2, -1).T.tolist())))
    )
    return [first + second - union, union - second, union - first, both - union]


@pytest.mark.parametrize("prevalence", [5e-4, 2e-3, 0.3])
def test_counts_have_the_atoms_of_exact_arithmetic(prevalence, rng):
    for bins in (4, 16, 32):
        p = of_low_prevalence(rng, prevalence=prevalence, bins=bins, voxels=100_000)
        assert stacked(broja.atoms(p)) == pytest.approx(exact(np.rint(p * 100_000).astype(int)), abs=1e-13)


def test_tiny_masses():
    for tiny in (1e-15, 1e-30, 1e-200, 1e-300, 5e-324):
        for T in (2, 3):
            alone = np.zeros((T, 2, 2))
            alone[0, 0, 0], alone[1, 1, 1] = 1.0, tiny
            assert stacked(broja.atoms(alone)).max() <= 1.1e3 * tiny  # -log2 of it, times itself
            p = np.full((T, 2, 2), tiny)
            p[0, 0, 0] = 1.0
            found = broja.atoms(p)
            assert np.isfinite(stacked(found)).all()
            assert stacked(found).max() < 1e-12


def test_the_input_is_not_modified(rng):
    p = random_distribution("dense", (3, 3, 3), rng)
    p.setflags(write=False)
    broja.atoms(p)
    assert broja.atoms(np.asfortranarray(p)).synergy == pytest.approx(broja.atoms(p).synergy, abs=1e-14)


def test_invalid_input_names_the_argument(rng):
    p = random_distribution("dense", (2, 3, 3), rng)
    for bad, error in (
        (-p, ImplausibleValues),
        (p * 400, ImplausibleValues),
        (np.where(p > p.mean(), np.nan, p), ImplausibleValues),
        (p[0], InputRejected),
        (p[:, :0], InputRejected),
    ):
        with pytest.raises(error, match=r"^p\n"):
            broja.atoms(bad)


def test_it_cites_its_papers():
    assert "Bertschinger2014" in citations(broja.atoms)
