"""Random distributions of several kinds, and stored ones with known atoms."""

import json

import numpy as np

KINDS = ("dense", "sparse", "counts", "deterministic", "chain", "gaussian")


def random_distribution(kind: str, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """A distribution (T, X, Y) of one of ``KINDS``."""
    T, X, Y = shape
    if kind == "dense":
        return rng.dirichlet(np.ones(T * X * Y)).reshape(shape)
    if kind == "sparse":
        return rng.dirichlet(np.full(T * X * Y, 0.1)).reshape(shape)
    if kind == "counts":
        n = int(rng.integers(10, 2000))
        return (rng.multinomial(n, rng.dirichlet(np.full(T * X * Y, rng.choice([0.2, 1.0, 5.0])))) / n).reshape(shape)
    if kind == "deterministic":  # T = f(X, Y)
        target = rng.integers(0, T, (X, Y))
        return (target == np.arange(T)[:, None, None]) * rng.dirichlet(np.ones(X * Y)).reshape(X, Y)
    if kind == "chain":  # the Markov chain T - X - Y
        given_t, given_x = rng.dirichlet(np.ones(X), T), rng.dirichlet(np.full(Y, 0.5), X)
        return rng.dirichlet(np.ones(T))[:, None, None] * given_t[:, :, None] * given_x
    n, target = 20_000, rng.choice(T, 20_000, p=rng.dirichlet(np.ones(T)))
    values = rng.normal(size=(n, 2)) @ np.array([[1.0, rng.uniform(-0.9, 0.9)], [0.0, 1.0]])
    values += (rng.normal(size=(T, 2)) * rng.choice([0.3, 1.0, 2.0]))[target]
    low, high = values.min(axis=0), values.max(axis=0)
    x, y = ((values - low) / (high - low) * (X, Y)).astype(int).T
    counts = np.zeros(shape)
    np.add.at(counts, (target, np.minimum(x, X - 1), np.minimum(y, Y - 1)), 1.0)
    return counts / n


def of_low_prevalence(rng: np.random.Generator, *, prevalence: float, bins: int, voxels: int) -> np.ndarray:
    """(2, bins, bins): binned correlated Gaussians of many voxels, few of which belong to the target."""
    n = max(1, round(prevalence * voxels))
    target = np.repeat([0, 1], [voxels - n, n])
    values = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], voxels) + target[:, None] * rng.normal(1.0, 0.5, 2)
    x, y = np.clip(((values + 4.0) / 10.0 * bins).astype(int), 0, bins - 1).T
    counts = np.zeros((2, bins, bins))
    np.add.at(counts, (target, x, y), 1.0)
    return counts / voxels


def stacked(atoms) -> np.ndarray:
    """The four atoms, (4, ...)."""
    return np.stack([atoms.redundancy, atoms.unique_1, atoms.unique_2, atoms.synergy])


def stored(folder) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """The stored distributions: name, p, the atoms by I_min and by BROJA."""
    listed = json.loads((folder / "pid_truth.json").read_text())["gates"]
    return [
        (one["name"], filled(one["p"], one["shape_txy"]), *(np.array(list(one[m].values())) for m in ("imin", "broja")))
        for one in listed
    ]


def filled(cells, shape) -> np.ndarray:
    """The table of ``[t, x, y, ..., probability]``."""
    p = np.zeros(shape)
    for *place, mass in cells:
        p[tuple(int(symbol) for symbol in place)] += mass
    return p
