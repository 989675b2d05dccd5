"""Memory of Monte-Carlo draws: running sums of streamed draws, beside a stack of all draws. One process for each row.

Run: ``python benchmarks/draws_memory.py``.

The first table has the peak resident memory and the CPU seconds of 5, 20 and 80 draws of a synthetic head of
96 × 112 × 84 voxels of 2 mm. The claim: streaming needs the same memory for any number of draws, and stacking does not.
The last line is for three targets of 256 × 256 × 160 voxels of 1 mm at once, from the opened scans to the findings. The
draws, maps, regions and volumes of each target are kept until the last is done. The claim: within 2 GB.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

SHAPE, LARGE = (96, 112, 84), (256, 256, 160)
DRAWS = (5, 20, 80)
WAYS = ("streamed", "stacked")


def synthetic_case(shape=SHAPE, spacing_mm=2.0):
    """A head whose scans are noise."""
    from adumbra.core.case import Case, Scan
    from adumbra.core.geometry.grid import Grid

    rng = np.random.default_rng(0)
    grid = Grid(shape, np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0]))
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    radii_mm = (72.0, 88.0, 68.0)
    brain = sum(((x - n / 2) * spacing_mm / r) ** 2 for x, n, r in zip(axes, shape, radii_mm, strict=True)) < 1
    scans = {m: Scan(rng.random(shape, dtype=np.float32) + brain, grid, grid) for m in ("dwi", "adc", "b0", "flair")}
    return Case("synthetic", scans, {"brain": Scan(brain, grid, grid)})


def untrained_posterior():
    """The posterior of the default network. Its weights are random: time and memory do not depend on them."""
    import torch

    from adumbra.networks.registry import LoadedNetwork
    from adumbra.networks.unet import UNet
    from adumbra.networks.weights import Card
    from adumbra.posterior.registry import posterior_of

    torch.manual_seed(0)
    network = UNet().eval().requires_grad_(False)
    card = Card("untrained", "", "unet", network.config.as_json(), 2.0, 64, 0.5)
    return posterior_of([LoadedNetwork(network, card)])


def mean_of(draws, way):
    """The mean of the draws, by running sums or from a stack of all draws."""
    if way == "stacked":
        return np.stack(list(draws)).mean(axis=0)
    total = np.zeros(SHAPE)
    count = 0
    for volume in draws:
        total += volume
        count += 1
    return (total / count).astype(np.float32)


def print_row(way, n):
    """Measures and prints one row of the table in this process."""
    case, posterior = synthetic_case(), untrained_posterior()
    begun = time.process_time()
    mean = mean_of(posterior.draws(case, n, np.random.default_rng(0)), way)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{way:9} {n:5} draws  {peak_mb:7.0f} MB  {time.process_time() - begun:6.1f} CPU-s  mean {mean.mean():.6f}")


def print_targets():
    """Measures and prints three targets of a large head in this process."""
    from adumbra.core.options import InferenceConfig
    from adumbra.pipeline import predict_case
    from adumbra.segmentation_model import load_model

    case = synthetic_case(LARGE, 1.0)
    begun = time.process_time()
    # One network stands for three, since the cost of a target does not depend on which it is.
    configs = [InferenceConfig(seed=seed, threshold=0.5, calibration="none", registration="never") for seed in range(3)]
    predictions = [predict_case(case, load_model("lesion", config)) for config in configs]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    voxels = " x ".join(map(str, LARGE))
    print(f"{len(predictions)} targets of {voxels}: {peak_mb:5.0f} MB  {time.process_time() - begun:6.1f} CPU-s")


def main():
    """Prints the table, or with arguments one row of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", nargs="*", help="one row only: targets, or streamed N, or stacked N")
    match parser.parse_args().row:
        case ["targets"]:
            print_targets()
        case [way, n]:
            print_row(way, int(n))
        case _:
            for row in [*([way, str(n)] for way in WAYS for n in DRAWS), ["targets"]]:
                subprocess.run([sys.executable, __file__, *row], check=True)


if __name__ == "__main__":
    main()
