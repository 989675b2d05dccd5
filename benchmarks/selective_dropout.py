"""What 20 draws cost, and what they are worth, beside 20 draws in whole windows: both in one run.

Run: ``python benchmarks/cheap_draws.py CASE [--reference 200]``, with CASE as ``adumbra predict`` takes it. The cost is
CPU seconds of one thread in parts of one deterministic pass. The fidelity is the correlation, inside the brain, of the
maps of 20 draws with those of a reference of 200 draws in whole windows with other seeds, beside what 20 independent
draws in whole windows reach; and the central 95 % of the volumes. The claims: at most 3 passes; a correlation of the
epistemic map of at least 0.98 of the naive one, of the entropy of at least 0.99. Where the processor has bfloat16, the
same draws are made in it and in float32, and their maps compared: what rounding changes beside what chance does.
"""

import argparse
import time

import numpy as np
import torch

from adumbra.cases.registry import open_case
from adumbra.inference.device import fast_in_bf16
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.networks.registry import load
from adumbra.posterior.registry import posterior_of
from adumbra.preprocessing.pipeline import preprocess
from adumbra.uncertainty.maps import summarised

DRAWS = 20
ONE = {"precision": "auto", "threads": 1}


def mapped(posterior, case, *, draws: int, seed: int, threshold: float):
    """Maps and volumes of some draws."""
    volumes = posterior.draws(case, draws, np.random.default_rng(seed))
    within = case.masks["brain"].data
    return summarised(volumes, target="lesion", grid=case.grid, threshold=threshold, within=within)


def cost_of(run) -> float:
    """CPU seconds of a run."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def drained(posterior, case) -> None:
    """Takes 20 draws and lets each go."""
    for _ in posterior.draws(case, DRAWS, np.random.default_rng(5)):
        pass


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case")
    parser.add_argument("--reference", type=int, default=200, help="draws of the reference")
    asked = parser.parse_args()
    network = load("lesion")
    modalities, spacing_mm = network.network.config.modalities, network.card.spacing_mm
    _, case = preprocess(open_case(asked.case), target="lesion", modalities=modalities, spacing_mm=spacing_mm)
    whole = posterior_of([network], inference=InferenceConfig(dense_draws=True, **ONE))
    cheap = posterior_of([network], inference=InferenceConfig(**ONE))
    whole.deterministic(case)  # what is done once only, such as the choice of kernels
    unit = min(cost_of(lambda: whole.deterministic(case)) for _ in range(3))
    brain, about = case.masks["brain"].data, {"threshold": network.card.threshold}
    reference, reference_ml = mapped(whole, case, draws=asked.reference, seed=1, **about)
    print(f"deterministic pass {unit:.2f} CPU s; reference: {asked.reference} draws")
    print(f"{'20 draws':14s} {'passes':>7s} {'r epistemic':>12s} {'r entropy':>10s} {'volume, ml':>18s}")
    found = {}
    for name, posterior in (("whole windows", whole), ("where in doubt", cheap)):
        passes = min(cost_of(lambda p=posterior: drained(p, case)) for _ in range(2)) / unit
        maps, volumes = mapped(posterior, case, draws=DRAWS, seed=2, **about)
        r = [np.corrcoef(getattr(maps, m)[brain], getattr(reference, m)[brain])[0, 1] for m in ("epistemic", "entropy")]
        low, high = np.quantile(volumes.volumes_ml, (0.025, 0.975))
        found[name] = r[0]
        print(f"{name:14s} {passes:7.2f} {r[0]:12.4f} {r[1]:10.4f} {low:8.2f} to {high:.2f}")
    low, high = np.quantile(reference_ml.volumes_ml, (0.025, 0.975))
    print(f"reference volumes {low:.2f} to {high:.2f} ml")
    print(f"epistemic, cheap over naive: {found['where in doubt'] / found['whole windows']:.4f}")
    if fast_in_bf16(torch.device("cpu")):
        precisions(network, case, threshold=network.card.threshold)


def precisions(network, case, *, threshold: float) -> None:
    """The same draws in bfloat16 and in float32."""
    found, seconds = {}, {}
    for precision in ("f32", "bf16"):
        posterior = posterior_of([network], inference=InferenceConfig(precision=precision, threads=1))
        begun = time.process_time()
        found[precision] = mapped(posterior, case, draws=DRAWS, seed=2, threshold=threshold)
        seconds[precision] = time.process_time() - begun
    brain = case.masks["brain"].data
    (exact, exact_ml), (rounded, rounded_ml) = found["f32"], found["bf16"]
    r = {m: np.corrcoef(getattr(exact, m)[brain], getattr(rounded, m)[brain])[0, 1] for m in ("entropy", "epistemic")}
    furthest = float(np.abs(exact.probability - rounded.probability).max())
    volumes = [float(np.mean(v.volumes_ml)) for v in (exact_ml, rounded_ml)]
    print(f"bfloat16 against float32, the same draws: r entropy {r['entropy']:.5f}, r epistemic {r['epistemic']:.4f}, "
          f"mean probability at most {furthest:.3f} apart, mean volume {volumes[1]:.3f} for {volumes[0]:.3f} ml, "
          f"{seconds['f32'] / seconds['bf16']:.1f} times as fast")  # fmt: skip


if __name__ == "__main__":
    main()
