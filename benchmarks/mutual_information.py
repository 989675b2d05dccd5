"""Mutual information of samples beside its peers, alternated in one process on one thread.

Run it in an environment of its own: ``python -m venv peers && peers/bin/pip install . scikit-learn ennemi`` and
``OMP_NUM_THREADS=1 peers/bin/python benchmarks/mutual_information.py``. It prints the least CPU time of several runs:
10 million pairs in 64 by 64 bins, from float32 values and from bin indices; then the KSG estimator for 100,000 pairs.
"""

import time
from collections.abc import Callable

import ennemi
import numpy as np
from sklearn.feature_selection import mutual_info_regression
from sklearn.metrics import mutual_info_score

from adumbra.information import (
    binned_counts,
    equal_width,
    joint_counts,
    ksg_mutual_information,
    plugin_mutual_information,
)

RHO, BINS = 0.7, 64
BITS = 1.0 / np.log(2.0)  # bits in a nat


def print_comparison(runs: dict[str, Callable[[], float]], *, rounds: int) -> None:
    """Prints CPU time and value of each, run in turn, and the ratio of its time to that of the first."""
    least, value = dict.fromkeys(runs, np.inf), dict.fromkeys(runs, 0.0)
    for name in runs:  # compiled loops are compiled at their first call
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
    indices = [np.clip((row + 6.0) * (BINS / 12.0), 0, BINS - 1).astype(np.uint8) for row in (a, b)]
    print(f"truth: {-0.5 * np.log2(1.0 - RHO**2):.4f} bits")
    print_comparison(
        {
            "adumbra, float32": lambda: plugin_mutual_information(joint_counts(a, b, bins=(edges, edges))),
            "adumbra, bytes": lambda: plugin_mutual_information(binned_counts(*indices, shape=(BINS, BINS))),
            "numpy histogram2d": lambda: plugin_mutual_information(np.histogram2d(a, b, BINS, (limits, limits))[0]),
            "scikit-learn, labels": lambda: BITS * mutual_info_score(*indices),
        },
        rounds=3,
    )
    x, y = a[:100_000].astype(np.float64), b[:100_000].astype(np.float64)
    print_comparison(
        {
            "adumbra, KSG": lambda: ksg_mutual_information(x, y),
            "scikit-learn, KSG": lambda: BITS * mutual_info_regression(x[:, None], y, random_state=0)[0],
            "ennemi, KSG": lambda: BITS * ennemi.estimate_mi(y, x)[0, 0],
        },
        rounds=3,
    )


if __name__ == "__main__":
    main()
