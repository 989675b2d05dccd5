"""Partial information decomposition beside its peers, alternated in one process on one thread.

Run it in an environment of its own, since ecos is under the GPL and is not a dependency of adumbra::

    python -m venv peers && peers/bin/pip install . dit ecos
    peers/bin/python benchmarks/decomposition.py [--broja-2pid FOLDER]

FOLDER is a checkout of github.com/Abzinger/BROJA_2PID, which is not on a package index. ``--no-peers`` measures adumbra
alone and needs neither. For each shape the benchmark prints the CPU time of one decomposition, the median over random
distributions, alone and in a batch of 200, and the ratio of the peer's time to it. The error is the largest difference
of an atom from that of adumbra, whose certified gap is printed beside it. At low prevalence the difference is the
peers' error: against exact fractions that of adumbra is below 1e-13 bits in the tests.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from adumbra.information import Atoms, bootstrap, broja, williams_beer

Peer = Callable[[np.ndarray], np.ndarray]


def values(atoms: Atoms) -> np.ndarray:
    """The four atoms, (4, ...), in bits."""
    return np.stack([atoms.redundancy, atoms.unique_1, atoms.unique_2, atoms.synergy])


def cells(p: np.ndarray) -> dict[tuple[int, int, int], float]:
    """The cells that have mass, in the form that the peers accept."""
    return {tuple(map(int, place)): float(p[tuple(place)]) for place in np.argwhere(p > 0)}


def of_broja_2pid(p: np.ndarray) -> np.ndarray:
    """The atoms by BROJA_2PID (4,), in bits; it names its target X."""
    from BROJA_2PID import pid

    atoms = pid(cells(p))
    return np.array([atoms[name] for name in ("SI", "UIY", "UIZ", "CI")])


def of_dit(p: np.ndarray, measure: str, **options: Any) -> np.ndarray:
    """The atoms by dit (4,), in bits."""
    import dit

    masses = cells(p)
    joint = dit.Distribution(["".join(chr(65 + s) for s in (x, y, t)) for t, x, y in masses], list(masses.values()))
    lattice = getattr(dit.pid, measure)(joint, [[0], [1]], [2], **options)
    return np.array([lattice.get_pi(node) for node in (((0,), (1,)), ((0,),), ((1,),), ((0, 1),))])


def seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def print_comparison(
    name: str, ours: Callable[[np.ndarray], Atoms], peers: dict[str, Peer], shape: tuple[int, int, int], *, rounds: int
) -> None:
    """Prints the rows of one shape."""
    rng = np.random.default_rng(20261123)
    problems = rng.dirichlet(np.ones(int(np.prod(shape))), 200).reshape(-1, *shape)
    ours(problems[:2])
    alone: list[float] = []
    batched: list[float] = []
    theirs: dict[str, list[float]] = {peer: [] for peer in peers}
    errors = dict.fromkeys(peers, 0.0)
    for p in problems[:rounds]:
        alone.append(min(seconds(lambda p=p: [ours(p) for _ in range(20)]) / 20 for _ in range(3)))  # type: ignore[misc]
        batched.append(seconds(lambda: ours(problems)) / len(problems))
        for peer, measure in peers.items():
            atoms: list[np.ndarray] = []
            theirs[peer].append(seconds(lambda p=p, a=atoms, m=measure: a.append(m(p))))  # type: ignore[misc]
            errors[peer] = max(errors[peer], float(np.abs(atoms[0] - values(ours(p))).max()))
    one, many = np.median(alone), np.median(batched)
    gap = float(np.max(ours(problems).gap))
    print(f"{name} {shape}: alone {one * 1e6:.1f} us, batched {many * 1e6:.2f} us, gap {gap:.1e}", flush=True)
    for peer in peers:
        other = np.median(theirs[peer])
        ratios = f"{other / one:,.0f} x alone, {other / many:,.0f} x batched"
        print(f"    {peer}: {other * 1e3:.2f} ms, {ratios}, largest difference {errors[peer]:.0e} bits", flush=True)


def print_errors_at_low_prevalence(peers: dict[str, Peer], *, draws: int) -> None:
    """Prints the peers' errors for lesions of few voxels."""
    for prevalence, voxels, bins in ((2e-3, 400_000, 16), (5e-4, 400_000, 16), (2e-3, 400_000, 32)):
        rng = np.random.default_rng(7)
        errors: dict[str, list[float]] = {peer: [] for peer in peers}
        for _ in range(draws):
            target = (np.arange(voxels) < prevalence * voxels).astype(int)
            intensities = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], voxels)
            intensities += target[:, None] * rng.normal(1.0, 0.5, 2)
            x, y = np.clip(((intensities + 4.0) / 10.0 * bins).astype(int), 0, bins - 1).T
            counts = np.zeros((2, bins, bins), dtype=np.int64)
            np.add.at(counts, (target, x, y), 1)
            p = counts / counts.sum()
            truth = values(broja.atoms(p))
            for peer, measure in peers.items():
                errors[peer].append(float(np.abs(measure(p) - truth).max()))
        for peer, of_peer in errors.items():
            wrong = sum(error > 1e-6 for error in of_peer)
            summary = (
                f"median {np.median(of_peer):.0e}, largest {max(of_peer):.1e} bits, {wrong} of {draws} beyond 1e-6"
            )
            print(f"prevalence {prevalence:.2%}, {bins} bins: {peer}: {summary}", flush=True)


def print_bootstrap_time() -> None:
    """Prints the time of a bootstrap interval over patients, which includes the resampling."""
    rng = np.random.default_rng(11)
    tables = np.stack([rng.multinomial(20_000, rng.dirichlet(np.ones(512))) for _ in range(40)]).reshape(40, 2, 16, 16)

    def measure(p: np.ndarray) -> np.ndarray:
        return np.concatenate([values(broja.atoms(p)), values(williams_beer.atoms(p))]).T

    def run() -> None:
        bootstrap(tables, measure, generator=np.random.default_rng(3), resamples=1000)

    run()
    print(f"1,000 resamples of 40 patients at (2, 16, 16), both measures: {seconds(run) * 1e3:.0f} ms", flush=True)
    multinomial = np.random.default_rng(5).dirichlet(np.ones(512))

    def voxels() -> None:
        tables = np.random.default_rng(3).multinomial(20_000, multinomial, size=1000) / 20_000
        measure(tables.reshape(-1, 2, 16, 16))

    print(f"1,000 multinomial resamples of one table of 512 cells: {seconds(voxels) * 1e3:.0f} ms", flush=True)


def main() -> None:
    """Prints all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broja-2pid", metavar="FOLDER", help="a checkout of BROJA_2PID")
    parser.add_argument("--rounds", type=int, default=9, help="distributions of each shape")
    parser.add_argument("--no-peers", action="store_true", help="measure adumbra alone")
    options = parser.parse_args()
    solvers: dict[str, Peer] = {"dit cone": lambda p: of_dit(p, "PID_BROJA", method="cone")}
    i_min: dict[str, Peer] = {"dit": lambda p: of_dit(p, "PID_WB")}
    if options.no_peers:
        solvers, i_min = {}, {}
    elif options.broja_2pid:
        sys.path.append(options.broja_2pid)
        solvers = {"BROJA_2PID": of_broja_2pid, **solvers}
    for shape in ((2, 2, 2), (2, 8, 8), (2, 16, 16), (2, 32, 32), (3, 16, 16), (4, 16, 16), (5, 10, 10)):
        print_comparison("BROJA", broja.atoms, solvers, shape, rounds=options.rounds)
    for shape in ((2, 2, 2), (2, 16, 16), (5, 10, 10)):
        print_comparison("I_min", williams_beer.atoms, i_min, shape, rounds=options.rounds)
    print_bootstrap_time()
    if solvers:
        print_errors_at_low_prevalence(solvers, draws=20)


if __name__ == "__main__":
    main()
