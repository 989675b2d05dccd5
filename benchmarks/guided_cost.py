"""Cost of two-pass inference with a guided network, beside one pass of a plain U-Net: CPU seconds of one thread.

Run: ``python benchmarks/guided_cost.py [CASE] [--draws 20] [--weights GUIDED ...]``. Without a case it uses a simulated
patient of the diffusion preset.

With ``--weights`` of guided trainings, the plain U-Net is the network of their first pass. Otherwise it is the released
U-Net, and untrained guided networks have its decoder. The cost of a draw depends on the number of uncertain voxels, and
so on the weights. The claim, for attention at the skip connections of a U-Net: two passes cost at most 2.5 times one
pass. The first pass has ``--first-draws`` draws, and one deterministic pass for each modality alone.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from adumbra.cases.registry import open_case
from adumbra.core.options import ComputeConfig
from adumbra.networks.crossmodal import CrossModalConfig
from adumbra.networks.registry import LoadedNetwork, load, network_of
from adumbra.posterior.registry import posterior_of
from adumbra.preprocessing.pipeline import preprocess
from adumbra.simulation.cohort import simulate_case


def main() -> None:
    """Prints a line for each guided network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--first-draws", type=int, default=4)
    parser.add_argument("--weights", nargs="+", default=())
    options = parser.parse_args()
    original = open_case(options.case) if options.case else simulate_case(51, 3).case
    for name, plain, guided in network_pairs(options.weights):
        modalities, spacing_mm = plain.network.config.modalities, plain.card.spacing_mm
        _, case = preprocess(original, target="lesion", modalities=modalities, spacing_mm=spacing_mm)
        one_pass, two_pass = (posterior_of([n], compute=ComputeConfig(threads=1)) for n in (plain, guided))
        first = replace(two_pass.first, batch_size=options.first_draws)
        two_pass = replace(two_pass, first=first, first_pass_draws=options.first_draws)
        plain_s, plain_positive = cost_of_draws(one_pass, case, None, options.draws)
        started = time.process_time()
        guidance = two_pass.guidance_maps(case)
        first_s = time.process_time() - started
        second_s, guided_positive = cost_of_draws(two_pass.second, case, guidance, options.draws)
        print(
            f"{name}: one pass {plain_s:.1f} s; two passes {first_s:.1f} s and {second_s:.1f} s: "
            f"{(first_s + second_s) / plain_s:.2f} x; {plain_positive} and {guided_positive} predicted positive voxels",
            flush=True,
        )


def network_pairs(weights) -> Iterator[tuple[str, LoadedNetwork, LoadedNetwork]]:
    """Names, plain networks and guided networks."""
    for path in weights:
        guided = load(path)
        yield path, guided.first_pass, guided
    if not weights:
        plain = load("lesion")
        for name, primary in (("U-Net, attention at its skips", None), ("cross-modal", "dwi")):
            yield f"{name}, untrained", plain, guided_like(plain, primary=primary)


def guided_like(plain: LoadedNetwork, *, primary: str | None) -> LoadedNetwork:
    """An untrained guided network with the decoder of the plain one, and its encoder where it has that."""
    config = plain.network.config
    shared = {name: getattr(config, name) for name in ("modalities", "targets", "widths", "dropout")}
    network = network_of(CrossModalConfig(**shared, primary=primary, guided=True)).eval()
    known = {n.replace("encoder.", "encoder.joint."): t for n, t in plain.network.state_dict().items()}
    network.load_state_dict({n: known.get(n, t) for n, t in network.state_dict().items()})
    card = replace(plain.card, architecture="crossmodal")
    return LoadedNetwork(network.requires_grad_(False), card, first_pass=plain)


def cost_of_draws(posterior, case, guidance, draws: int) -> tuple[float, int]:
    """CPU seconds of the draws of a case, and the number of voxels that their mean predicts positive."""
    posterior.prepare(case, guidance).deterministic()  # The kernels are chosen once.
    started, total = time.process_time(), np.zeros(case.grid.shape)
    for volume in posterior.prepare(case, guidance).draws(draws, np.random.default_rng(0)):
        total += volume
    return time.process_time() - started, int((total / draws >= posterior.trained.card.threshold).sum())


if __name__ == "__main__":
    main()
