"""The redundancy lattice by hand."""

import numpy as np

from adumbra.information.pid.lattice import antichains, below, moebius_inversion, source_sets


def test_the_nodes_of_two_and_three_sources():
    assert antichains(2) == (((1,), (2,)), ((1,),), ((2,),), ((1, 2),))
    assert len(antichains(3)) == 18
    assert len(set(antichains(3))) == 18
    assert antichains(3)[0] == ((1,), (2,), (3,))
    assert antichains(3)[-1] == ((1, 2, 3),)
    assert ((1,), (2, 3)) in antichains(3)
    assert ((1,), (1, 2)) not in antichains(3)
    assert source_sets(3) == ((1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3))


def test_a_node_comes_after_those_below_it():
    nodes = antichains(3)
    for place, node in enumerate(nodes):
        assert all(not below(later, node) for later in nodes[place + 1 :])
    assert below(((1,), (2, 3)), ((1,),))
    assert below(((1,), (2, 3)), ((2, 3),))
    assert not below(((1,), (2, 3)), ((2,),))


def test_the_inversion_by_hand():
    """For two sources, in the order {1}{2}, {1}, {2}, {12}."""
    assert moebius_inversion(2).tolist() == [[1, 0, 0, 0], [-1, 1, 0, 0], [-1, 0, 1, 0], [1, -1, -1, 1]]


def test_the_inversion_recovers_the_atoms(rng):
    nodes = antichains(3)
    atoms = rng.random(18)
    redundancies = [sum(atoms[k] for k, lower in enumerate(nodes) if below(lower, node)) for node in nodes]
    assert np.abs(moebius_inversion(3) @ redundancies - atoms).max() < 1e-13
