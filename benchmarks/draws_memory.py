"""Memory of Monte-Carlo draws: summed as they stream, beside the peer that stacks them all. One process a row.

Run: ``python benchmarks/draws_memory.py``. Prints peak resident memory and CPU seconds for 5, 20 and 80 draws of a made
head of 96 × 112 × 84 voxels of 2 mm. The claim: streaming needs the same memory whatever the number of draws, and
stacking does not. Then the maps of three targets of 256 × 256 × 160 voxels of 1 mm at once, from opened scans to the
findings: each target with draws, maps, parts and volumes of its own, all held until the last. The claim: within 2 GB.
"""

import resource
import subprocess
import sys
import time

import numpy as np

SHAPE, LARGE = (96, 112, 84), (256, 256, 160)
DRAWS = (5, 20, 80)
WAYS = ("streamed", "stacked")


def made_case(shape=SHAPE, spacing_mm=2.0):
    """A head of noise."""
    from adumbra.core.case import Case, Scan
    from adumbra.core.geometry.grid import Grid

    rng = np.random.default_rng(0)
    grid = Grid(shape, np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0]))
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    radii_mm = (72.0, 88.0, 68.0)
    brain = sum(((x - n / 2) * spacing_mm / r) ** 2 for x, n, r in zip(axes, shape, radii_mm, strict=True)) < 1
    scans = {m: Scan(rng.random(shape, dtype=np.float32) + brain, grid, grid) for m in ("dwi", "adc", "b0", "flair")}
    return Case("made", scans, {"brain": Scan(brain, grid, grid)})


def made_posterior():
    """The default network, untrained: time and memory do not depend on its weights."""
    import torch

    from adumbra.networks.registry import LoadedNetwork
    from adumbra.networks.unet import UNet
    from adumbra.networks.weights import Card
    from adumbra.posterior.registry import posterior_of

    torch.manual_seed(0)
    network = UNet().eval().requires_grad_(False)
    card = Card("made", "", "unet", network.config.as_json(), 2.0, 64, 0.5)
    return posterior_of([LoadedNetwork(network, card)])


def mean_of(draws, way):
    """The mean of the draws, by running sums or from a stack of them all."""
    if way == "stacked":
        return np.stack(list(draws)).mean(axis=0)
    total = np.zeros(SHAPE)
    count = 0
    for volume in draws:
        total += volume
        count += 1
    return (total / count).astype(np.float32)


def row(way, n):
    """One line of the table, measured in this process."""
    case, posterior = made_case(), made_posterior()
    begun = time.process_time()
    mean = mean_of(posterior.draws(case, n, np.random.default_rng(0)), way)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{way:9} {n:5} draws  {peak_mb:7.0f} MB  {time.process_time() - begun:6.1f} CPU-s  mean {mean.mean():.6f}")


def targets():
    """The last line: three targets of a large head, measured in this process."""
    from adumbra.networks.registry import load
    from adumbra.pipeline import read
    from adumbra.posterior.registry import posterior_of

    case, network = made_case(LARGE, 1.0), load("lesion")
    begun = time.process_time()
    posterior = posterior_of([network], target="lesion")
    held = [
        read(case, network, posterior, target="lesion", draws=20, seed=seed, threshold=0.5, registration="never")
        for seed in range(3)  # one network stands for three: what a target needs does not depend on which it is
    ]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    voxels = " x ".join(map(str, LARGE))
    print(f"{len(held)} targets of {voxels}: {peak_mb:5.0f} MB  {time.process_time() - begun:6.1f} CPU-s")


def main():
    """The table, or with arguments one row of it."""
    if sys.argv[1:] == ["targets"]:
        targets()
        return
    if len(sys.argv) == 3:
        row(sys.argv[1], int(sys.argv[2]))
        return
    for way in WAYS:
        for n in DRAWS:
            subprocess.run([sys.executable, __file__, way, str(n)], check=True)
    subprocess.run([sys.executable, __file__, "targets"], check=True)


if __name__ == "__main__":
    main()
