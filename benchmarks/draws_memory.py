"""Memory of Monte-Carlo draws: summed as they stream, beside the peer that stacks them all. One process a row.

Run: ``python benchmarks/draws_memory.py``. Prints peak resident memory and CPU seconds for 5, 20 and 80 draws of a made
head of 96 × 112 × 84 voxels of 2 mm. The claim: streaming needs the same memory whatever the number of draws, and
stacking does not.
"""

import resource
import subprocess
import sys
import time

import numpy as np

SHAPE = (96, 112, 84)
DRAWS = (5, 20, 80)
WAYS = ("streamed", "stacked")


def made_case():
    """A head of noise on 2 mm voxels."""
    from adumbra.case import Case, Scan
    from adumbra.space.grid import Grid

    rng = np.random.default_rng(0)
    grid = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
    centred = (np.indices(SHAPE).reshape(3, -1).T - np.array(SHAPE) / 2) / np.array([36, 44, 34])
    brain = ((centred**2).sum(axis=1) < 1).reshape(SHAPE)
    scans = {m: Scan(rng.normal(0, 1, SHAPE).astype(np.float32), grid, grid) for m in ("dwi", "adc", "b0", "flair")}
    return Case("made", scans, {"brain": Scan(brain, grid, grid)})


def made_posterior():
    """The default network, untrained: time and memory do not depend on its weights."""
    import torch

    from adumbra.networks.catalogue import LoadedNetwork
    from adumbra.networks.unet import UNet
    from adumbra.networks.weights import Card
    from adumbra.posterior.catalogue import posterior_of

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


def main():
    """The table, or with two arguments one row of it."""
    if len(sys.argv) == 3:
        row(sys.argv[1], int(sys.argv[2]))
        return
    for way in WAYS:
        for n in DRAWS:
            subprocess.run([sys.executable, __file__, way, str(n)], check=True)


if __name__ == "__main__":
    main()
