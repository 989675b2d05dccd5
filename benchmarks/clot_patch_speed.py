"""CPU time of a patch with a clot, simulated in a box of a kept head, beside the simulation of the whole head.

Run: ``OMP_NUM_THREADS=1 python benchmarks/clot_patch_speed.py [--patches 12]``. Times are CPU seconds of one thread.
The whole head is simulated once in the same run, with its network scales.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from adumbra.simulation.clot_patches import MODALITIES, ClotPatch, keep_heads

SEED, SIDES_MM = 90, (32.0, 40.0, 48.0)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.process_time()
        heads = keep_heads(folder, seed=SEED, count=1)
        whole = time.process_time() - start
        megabytes = (folder / f"{heads[0]}.safetensors").stat().st_size / 1e6
        print(f"one head: {whole:.1f} CPU-s, {megabytes:.0f} MB")
        print("side mm  spacing  simulated, CPU-s  prepared for a network, CPU-s  head / patch")
        for side_mm in SIDES_MM:
            for factor in (1, 2):
                patches = [ClotPatch(folder, heads, SEED, n, side_mm, factor) for n in range(options.patches)]
                times = []
                for patch in patches:
                    start = time.process_time()
                    patch.simulate()
                    middle = time.process_time()
                    patch.network_case(modalities=MODALITIES, spacing_mm=1.0)
                    times.append((middle - start, time.process_time() - middle))
                simulated, prepared = np.median(times, axis=0)
                print(
                    f"{side_mm:7.0f}  {1 / factor:7.1f}  {simulated:16.2f}  {prepared:29.2f}  {whole / simulated:12.0f}"
                )


if __name__ == "__main__":
    main()
