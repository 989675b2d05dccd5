"""CPU time that mirror images add to the preparation of a case and to the sampling of a batch.

Run: ``python benchmarks/mirror_cost.py [--cases 3] [--batches 20]``. The peer in the same run is the training without
mirror images, on the same phantoms. The batch is that of ``TrainConfig``: four patches of 48 voxels, augmented.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from adumbra.simulation.cohort import PhantomRef
from adumbra.training.cache import CacheConfig, cache_cases
from adumbra.training.config import TrainConfig
from adumbra.training.loop import sample_batch
from adumbra.training.patches import open_cached_case


def measure(mirrored: bool, refs: list[PhantomRef], folder: Path, batches: int) -> tuple[float, float]:
    """CPU seconds for a case, its simulation included, and for a batch."""
    options = CacheConfig(mirrored=mirrored, registration="never", least_side=48)
    started = time.process_time()
    cases = [open_cached_case(path) for path in cache_cases(refs, folder, options)]
    prepared = (time.process_time() - started) / len(cases)
    config = TrainConfig()
    config = replace(config, network=replace(config.network, mirrored=mirrored))
    sample_batch(cases, config, 0)
    started = time.process_time()
    for number in range(1, batches + 1):
        sample_batch(cases, config, number)
    return prepared, (time.process_time() - started) / batches


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--batches", type=int, default=20)
    options = parser.parse_args()
    refs = [PhantomRef(9, number) for number in range(options.cases)]
    refs[0].open()  # imports, and the template
    print("| mirror images | CPU s a case | CPU s a batch |")
    print("|---|---|---|")
    with TemporaryDirectory() as folder:
        for mirrored in (False, True):
            case, batch = measure(mirrored, refs, Path(folder) / str(mirrored), options.batches)
            print(f"| {'yes' if mirrored else 'no'} | {case:.1f} | {batch:.2f} |")


if __name__ == "__main__":
    main()
