"""Mutual information of samples beside its peers, alternated in one process on one thread.

Run, in an environment of its own: ``python -m venv peers && peers/bin/pip install . scikit-learn ennemi`` and
``OMP_NUM_THREADS=1 peers/bin/python benchmarks/mutual_information.py``. CPU time, the best of some runs; 10 million
pairs into 64 bins each, from float32 and from bytes that are binned already; and the nearest neighbours of 100,000
pairs.
"""

import time
from collections.abc import Callable

import ennemi
import numpy as np
from sklearn.feature_selection import mutual_info_regression
from sklearn.metrics import mutual_info_score

from adumbra.information.binning import binned
from adumbra.information.histogram import joint_counts
from adumbra.information.ksg import ksg
from adumbra.information.mutual import mutual_information
from adumbra.information.tables import table_information

RHO = 0.7
TRUTH = -0.5 * np.log2(1.0 - RHO**2)
BITS = 1.0 / np.log(2.0)


def timed(runs: dict[str, tuple[Callable[[], float], int]]) -> None:
    """Prints CPU seconds and value of each, run in turn."""
    best: dict[str, float] = {}
    value: dict[str, float] = {}
    for turn in range(max(times for _, times in runs.values())):
        for name, (run, times) in runs.items():
            if turn < times:
                begun = time.process_time()
                value[name] = float(run())
                best[name] = min(best.get(name, np.inf), time.process_time() - begun)
    first = best[next(iter(runs))]
    for name, seconds in best.items():
        print(f"{name}: {seconds * 1e3:.1f} ms, {seconds / first:.1f} x the first, {value[name]:.4f} bits", flush=True)
