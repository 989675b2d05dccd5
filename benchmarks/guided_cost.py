"""What the two readings of a guided network cost beside one reading of a plain U-Net: CPU seconds, one thread.

Run: ``python benchmarks/guided_cost.py [CASE] [--draws 20] [--weights GUIDED ...]``; without a case, a phantom of the
diffusion preset. ``--weights`` are of guided trainings; one reading is that of their own first network. Without them
the plain U-Net has the shipped weights, and untrained guided networks have its decoder. What a draw costs depends on
how many voxels are doubtful, and so on the weights. The claim, for attention at a U-Net's skips: two readings, of which
the first has ``--first-draws`` and reads each modality once alone, cost at most 2.5 times one reading.
"""

import argparse
import time
from dataclasses import replace

import numpy as np

from adumbra.cases.registry import open_case
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.registry import LoadedNetwork, load, network_of
from adumbra.posterior.registry import posterior_of
from adumbra.preprocessing.pipeline import preprocess
from adumbra.simulation.cohort import phantom


def guided_like(plain: LoadedNetwork, *, primary: str | None) -> LoadedNetwork:
    """A guided network with the plain one's encoder, if it has that, and decoder; it listens to nobody yet."""
    config = plain.network.config
    same = {name: getattr(config, name) for name in ("modalities", "targets", "widths", "dropout")}
    network = network_of(CrossModalConfig(**same, primary=primary, guided=True)).eval()
    known = {n.replace("encoder.", "encoder.together."): t for n, t in plain.network.state_dict().items()}
    own = network.state_dict()
    network.load_state_dict({n: known.get(n, t) for n, t in own.items()})
    return LoadedNetwork(network.requires_grad_(False), replace(plain.card, architecture="crossmodal"), first=plain)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--first-draws", type=int, default=4)
    parser.add_argument("--weights", nargs="+", default=())
    asked = parser.parse_args()
    open_cached_case = open_case(asked.case) if asked.case else phantom(51, 3).case
    for name, plain, network in guided(asked.weights):
        modalities, spacing_mm = plain.network.config.modalities, plain.card.spacing_mm
        _, case = preprocess(open_cached_case, target="lesion", modalities=modalities, spacing_mm=spacing_mm)
        once, twice = (posterior_of([n], inference=InferenceConfig(threads=1)) for n in (plain, network))
        twice = replace(
            twice, first_pass_draws=asked.first_draws, first=replace(twice.first, together=asked.first_draws)
        )
        one, called = spent(once, case, asked.draws)
        begun = time.process_time()
        doubted = twice.doubted(case)
        first = time.process_time() - begun
        second, called_too = spent(twice.second, doubted, asked.draws)
        print(
            f"{name}: one reading {one:.1f} s; the first of two {first:.1f} s, the second {second:.1f} s: "
            f"{(first + second) / one:.2f} x; {called} and {called_too} voxels called",
            flush=True,
        )


def guided(weights):
    """Names, networks of one reading, and guided networks."""
    if weights:
        return [(path, load(path).first, load(path)) for path in weights]
    plain, kinds = load("lesion"), {"U-Net, attention at its skips": None, "cross-modal": "dwi"}
    return [(f"{name}, untrained", plain, guided_like(plain, primary=p)) for name, p in kinds.items()]


def spent(posterior, case, draws):
    """CPU seconds of the draws of a case, and how many voxels their mean calls."""
    posterior.deterministic(case)  # kernels are chosen once
    begun, total = time.process_time(), np.zeros(case.grid.shape)
    for volume in posterior.draws(case, draws, np.random.default_rng(0)):
        total += volume
    return time.process_time() - begun, int((total / draws >= posterior.loaded.card.threshold).sum())


if __name__ == "__main__":
    main()
