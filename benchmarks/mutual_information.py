"""Mutual information of samples beside its peers, alternated in one process on one thread.

Run, in an environment of its own: ``python -m venv peers && peers/bin/pip install . scikit-learn ennemi`` and
``OMP_NUM_THREADS=1 peers/bin/python benchmarks/mutual_information.py``. CPU time, the least of some runs; 10 million
pairs in 64 by 64 bins, from float32 and from bytes that are binned already; then nearest neighbours of 100,000 pairs.
"""

import time
from collections.abc import Callable

import ennemi
import numpy as np
from sklearn.feature_selection import mutual_info_regression
from sklearn.metrics import mutual_info_score

from adumbra.information.estimators.binning import equal_width
from adumbra.information.estimators.histogram import binned_counts, joint_counts
from adumbra.information.estimators.ksg import ksg_information
from adumbra.information.estimators.plugin import table_information

RHO, BINS = 0.7, 64
BITS = 1.0 / np.log(2.0)  # of a nat


def compared(runs: dict[str, Callable[[], float]], *, rounds: int) -> None:
    """Prints CPU time and value of each, run in turn; ratios to the first."""
    least, value = dict.fromkeys(runs, np.inf), dict.fromkeys(runs, 0.0)
    for name in runs:  # what is compiled at the first call is compiled
        if not name.startswith("scikit-learn"):
            runs[name]()
    for _ in range(rounds):
        for name, run in runs.items():
            begun = time.process_time()
            value[name] = float(run())
            least[name] = min(least[name], time.process_time() - begun)
    first = least[next(iter(runs))]
    for name, seconds in least.items():
        print(f"{name}: {seconds * 1e3:.1f} ms, {seconds / first:.1f} x, {value[name]:.4f} bits", flush=True)


def main() -> None:
    """Prints both tables."""
    rng = np.random.default_rng(20261123)
    a, b = rng.multivariate_normal([0, 0], [[1, RHO], [RHO, 1]], 10_000_000).astype(np.float32).T.copy()
    limits = (-6.0, 6.0)
    edges = equal_width(a, bins=BINS, limits=limits)
    numbers = [np.clip((row + 6.0) * (BINS / 12.0), 0, BINS - 1).astype(np.uint8) for row in (a, b)]
    print(f"truth: {-0.5 * np.log2(1.0 - RHO**2):.4f} bits")
    compared(
        {
            "adumbra, float32": lambda: table_information(joint_counts(a, b, bins=(edges, edges))),
            "adumbra, bytes": lambda: table_information(binned_counts(*numbers, shape=(BINS, BINS))),
            "numpy histogram2d": lambda: table_information(np.histogram2d(a, b, BINS, (limits, limits))[0]),
            "scikit-learn, labels": lambda: BITS * mutual_info_score(*numbers),
        },
        rounds=3,
    )
    x, y = a[:100_000].astype(np.float64), b[:100_000].astype(np.float64)
    compared(
        {
            "adumbra, KSG": lambda: ksg_information(x, y),
            "scikit-learn, KSG": lambda: BITS * mutual_info_regression(x[:, None], y, random_state=0)[0],
            "ennemi, KSG": lambda: BITS * ennemi.estimate_mi(y, x)[0, 0],
        },
        rounds=3,
    )


if __name__ == "__main__":
    main()
