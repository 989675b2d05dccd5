"""What the two readings of a guided network cost beside one reading of a plain U-Net: CPU seconds, one thread.

Run: ``python benchmarks/guided_cost.py [CASE] [--draws 20]``; without a case, a phantom of the diffusion preset. The
plain U-Net has the shipped weights, and the guided networks its decoder: what a draw costs depends on how many voxels
are doubtful. The aim, not reached yet: two readings, of which the first has 4 draws and reads each modality once alone,
cost at most 2.5 times one reading.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import torch

from adumbra.cases.catalogue import open_case
from adumbra.cohort import phantom
from adumbra.networks.catalogue import LoadedNetwork, load, network_of
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.posterior.catalogue import posterior_of
from adumbra.posterior.run import Running
from adumbra.prepare.ready import made_ready


def guided_like(plain: LoadedNetwork, *, primary: str | None) -> LoadedNetwork:
    """A guided network with the plain one's encoder, if it has that, and decoder; its gate is as begun."""
    config = plain.network.config
    same = {name: getattr(config, name) for name in ("modalities", "targets", "widths", "dropout")}
    network = network_of(CrossModalConfig(**same, primary=primary, guided=True)).eval()
    known = {n.replace("encoder.", "encoder.together."): t for n, t in plain.network.state_dict().items()}
    own = network.state_dict()
    network.load_state_dict({n: known.get(n, t) for n, t in own.items()})
    with torch.no_grad():
        for attention in network.encoder.attention.values():
            attention.output.weight.mul_(0.1)  # so that the outline stays near the plain one's
    return LoadedNetwork(network.requires_grad_(False), replace(plain.card, architecture="crossmodal"), first=plain)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?")
    parser.add_argument("--draws", type=int, default=20)
    asked = parser.parse_args()
    plain = load("lesion")
    opened = open_case(asked.case) if asked.case else phantom(51, 3).case
    config = plain.network.config
    _, case = made_ready(opened, target="lesion", modalities=config.modalities, spacing_mm=plain.card.spacing_mm)
    running = Running(threads=1)
    networks = {
        "plain U-Net, one reading": plain,
        "U-Net with guided attention at its skips, two readings": guided_like(plain, primary=None),
        "cross-modal, guided, two readings": guided_like(plain, primary="dwi"),
    }
    first = 0.0
    for name, network in networks.items():
        posterior = posterior_of([network], running=running)
        posterior.deterministic(case)  # kernels are chosen once
        begun = time.process_time()
        total = np.zeros(case.grid.shape)
        for volume in posterior.draws(case, asked.draws, np.random.default_rng(0)):
            total += volume
        seconds = time.process_time() - begun
        first = first or seconds
        called = int((total / asked.draws >= plain.card.threshold).sum())
        print(f"{name}: {seconds:.1f} s, {seconds / first:.2f} x, {called} voxels called", flush=True)


if __name__ == "__main__":
    main()
