"""Partial information decomposition beside its peers, alternated in one process on one thread.

Run, in an environment of its own, for ecos is under the GPL and no dependency of adumbra::

    python -m venv peers && peers/bin/pip install . dit ecos
    peers/bin/python benchmarks/decomposition.py [--broja-2pid FOLDER]

with FOLDER a checkout of github.com/Abzinger/BROJA_2PID, which is on no index. Of each shape: CPU time of one
decomposition, the median over random distributions, alone and in a batch of 200; and the peer's over it. The error is
the largest difference of an atom from adumbra's, whose own certified gap stands beside it. At low
prevalence it is the peers' error: that of adumbra is below 1e-13 bits there, beside exact fractions, in its tests.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from adumbra.information.pid import broja, williams_beer
from adumbra.information.pid.atoms import Atoms
from adumbra.information.significance import bootstrap

PARTS = ("redundancy", "unique_1", "unique_2", "synergy")
Peer = Callable[[np.ndarray], np.ndarray]


def values(atoms: Atoms) -> np.ndarray:
    """(4, ...) bits."""
    return np.stack([getattr(atoms, part) for part in PARTS])


def cells(p: np.ndarray) -> dict[tuple[int, int, int], float]:
    """The cells that have mass, as the peers take them."""
    return {tuple(map(int, place)): float(p[tuple(place)]) for place in np.argwhere(p > 0)}


def of_broja_2pid(p: np.ndarray) -> np.ndarray:
    """(4,), bits, of BROJA_2PID, which names its target X."""
    from BROJA_2PID import pid

    found = pid(cells(p))
    return np.array([found[name] for name in ("SI", "UIY", "UIZ", "CI")])


def of_dit(p: np.ndarray, measure: str, **options: Any) -> np.ndarray:
    """(4,), bits, of dit."""
    import dit

    listed = cells(p)
    joint = dit.Distribution(["".join(chr(65 + s) for s in (x, y, t)) for t, x, y in listed], list(listed.values()))
    lattice = getattr(dit.pid, measure)(joint, [[0], [1]], [2], **options)
    return np.array([lattice.get_pi(node) for node in (((0,), (1,)), ((0,),), ((1,),), ((0, 1),))])


def seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def compared(
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
            found: list[np.ndarray] = []
            theirs[peer].append(seconds(lambda p=p, f=found, m=measure: f.append(m(p))))  # type: ignore[misc]
            errors[peer] = max(errors[peer], float(np.abs(found[0] - values(ours(p))).max()))
    one, many = np.median(alone), np.median(batched)
    gap = float(np.max(ours(problems).gap))
    print(f"{name} {shape}: alone {one * 1e6:.1f} us, batched {many * 1e6:.2f} us, gap {gap:.1e}", flush=True)
    for peer in peers:
        other = np.median(theirs[peer])
        ratios = f"{other / one:,.0f} x alone, {other / many:,.0f} x batched"
        print(f"    {peer}: {other * 1e3:.2f} ms, {ratios}, largest difference {errors[peer]:.0e} bits", flush=True)


def low_prevalence(peers: dict[str, Peer], *, draws: int) -> None:
    """Prints the errors for lesions of few voxels."""
    for prevalence, voxels, bins in ((2e-3, 400_000, 16), (5e-4, 400_000, 16), (2e-3, 400_000, 32)):
        rng = np.random.default_rng(7)
        errors: dict[str, list[float]] = {peer: [] for peer in peers}
        for _ in range(draws):
            target = (np.arange(voxels) < prevalence * voxels).astype(int)
            seen = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], voxels)
            seen += target[:, None] * rng.normal(1.0, 0.5, 2)
            x, y = np.clip(((seen + 4.0) / 10.0 * bins).astype(int), 0, bins - 1).T
            counts = np.zeros((2, bins, bins), dtype=np.int64)
            np.add.at(counts, (target, x, y), 1)
            p = counts / counts.sum()
            truth = values(broja.atoms(p))
            for peer, measure in peers.items():
                errors[peer].append(float(np.abs(measure(p) - truth).max()))
        for peer, found in errors.items():
            wrong = sum(error > 1e-6 for error in found)
            summary = f"median {np.median(found):.0e}, largest {max(found):.1e} bits, {wrong} of {draws} beyond 1e-6"
            print(f"prevalence {prevalence:.2%}, {bins} bins: {peer}: {summary}", flush=True)


def resamples() -> None:
    """Prints what an interval by patient costs, the drawing of patients included."""
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
        drawn = np.random.default_rng(3).multinomial(20_000, multinomial, size=1000) / 20_000
        measure(drawn.reshape(-1, 2, 16, 16))

    print(f"1,000 multinomial resamples of one table of 512 cells: {seconds(voxels) * 1e3:.0f} ms", flush=True)


def main() -> None:
    """Prints everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broja-2pid", metavar="FOLDER", help="a checkout of BROJA_2PID")
    parser.add_argument("--rounds", type=int, default=9, help="distributions of each shape")
    asked = parser.parse_args()
    solvers: dict[str, Peer] = {"dit cone": lambda p: of_dit(p, "PID_BROJA", method="cone")}
    if asked.broja_2pid:
        sys.path.append(asked.broja_2pid)
        solvers = {"BROJA_2PID": of_broja_2pid, **solvers}
    for shape in ((2, 2, 2), (2, 8, 8), (2, 16, 16), (2, 32, 32), (3, 16, 16), (4, 16, 16), (5, 10, 10)):
        compared("BROJA", broja.atoms, solvers, shape, rounds=asked.rounds)
    for shape in ((2, 2, 2), (2, 16, 16), (5, 10, 10)):
        compared("I_min", williams_beer.atoms, {"dit": lambda p: of_dit(p, "PID_WB")}, shape, rounds=asked.rounds)
    resamples()
    low_prevalence(solvers, draws=20)


if __name__ == "__main__":
    main()
