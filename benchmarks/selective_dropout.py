"""Cost and fidelity of 20 draws by selective dropout, beside 20 draws of whole windows in the same run.

Run: ``python benchmarks/selective_dropout.py CASE [--reference 200]``, with CASE as ``adumbra predict`` takes it.

The cost is CPU seconds of one thread, in units of one deterministic pass. The fidelity is the correlation, inside the
brain, between the maps of 20 draws and those of a reference: 200 draws of whole windows with another seed. Beside it is
the correlation that 20 independent draws of whole windows reach, and the central 95 % of the volumes. The claims: at
most 3 passes; a correlation of the epistemic map of at least 0.98 of that of whole windows, and of the entropy of at
least 0.99. Where the processor computes bfloat16, the same draws are made in bfloat16 and in float32, and their maps
are compared: the effect of rounding beside that of the seed.
"""

import argparse
import time

import numpy as np
import torch

from adumbra.cases.registry import open_case
from adumbra.core.options import ComputeConfig
from adumbra.inference.device import computes_bf16
from adumbra.networks.registry import load
from adumbra.posterior.registry import posterior_of
from adumbra.preprocessing.pipeline import preprocess
from adumbra.uncertainty.maps import summarise

DRAWS = 20
ONE = {"precision": "auto", "threads": 1}


def maps_of_draws(posterior, case, *, draws: int, seed: int, threshold: float):
    """The maps and volumes of a number of draws."""
    volumes = posterior.draws(case, draws, np.random.default_rng(seed))
    within = case.masks["brain"].data
    return summarise(volumes, target="lesion", grid=case.grid, threshold=threshold, within=within)


def cpu_seconds(run) -> float:
    """CPU seconds of a call."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def exhaust(posterior, case) -> None:
    """Makes 20 draws and keeps none."""
    for _ in posterior.draws(case, DRAWS, np.random.default_rng(5)):
        pass


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case")
    parser.add_argument("--reference", type=int, default=200, help="draws of the reference")
    options = parser.parse_args()
    network = load("lesion")
    modalities, spacing_mm = network.network.config.modalities, network.card.spacing_mm
    _, case = preprocess(open_case(options.case), target="lesion", modalities=modalities, spacing_mm=spacing_mm)
    whole = posterior_of([network], compute=ComputeConfig(dense_draws=True, **ONE))
    selective = posterior_of([network], compute=ComputeConfig(**ONE))
    whole.deterministic(case)  # What happens only once, such as the choice of kernels.
    unit = min(cpu_seconds(lambda: whole.deterministic(case)) for _ in range(3))
    brain, threshold = case.masks["brain"].data, network.card.threshold
    reference, reference_ml = maps_of_draws(whole, case, draws=options.reference, seed=1, threshold=threshold)
    print(f"deterministic pass {unit:.2f} CPU s; reference: {options.reference} draws")
    print(f"{'20 draws':15s} {'passes':>7s} {'r epistemic':>12s} {'r entropy':>10s} {'volume, ml':>18s}")
    epistemic_r = {}
    for name, posterior in (("whole windows", whole), ("where uncertain", selective)):
        passes = min(cpu_seconds(lambda p=posterior: exhaust(p, case)) for _ in range(2)) / unit
        maps, volumes = maps_of_draws(posterior, case, draws=DRAWS, seed=2, threshold=threshold)
        r = [np.corrcoef(getattr(maps, m)[brain], getattr(reference, m)[brain])[0, 1] for m in ("epistemic", "entropy")]
        low, high = np.quantile(volumes.volumes_ml, (0.025, 0.975))
        epistemic_r[name] = r[0]
        print(f"{name:15s} {passes:7.2f} {r[0]:12.4f} {r[1]:10.4f} {low:8.2f} to {high:.2f}")
    low, high = np.quantile(reference_ml.volumes_ml, (0.025, 0.975))
    print(f"reference volumes {low:.2f} to {high:.2f} ml")
    ratio = epistemic_r["where uncertain"] / epistemic_r["whole windows"]
    print(f"epistemic, selective over whole windows: {ratio:.4f}")
    if computes_bf16(torch.device("cpu")):
        compare_precisions(network, case, threshold=threshold)


def compare_precisions(network, case, *, threshold: float) -> None:
    """Prints the differences between the same draws in bfloat16 and in float32."""
    results, seconds = {}, {}
    for precision in ("f32", "bf16"):
        posterior = posterior_of([network], compute=ComputeConfig(precision=precision, threads=1))
        begun = time.process_time()
        results[precision] = maps_of_draws(posterior, case, draws=DRAWS, seed=2, threshold=threshold)
        seconds[precision] = time.process_time() - begun
    brain = case.masks["brain"].data
    (exact, exact_ml), (rounded, rounded_ml) = results["f32"], results["bf16"]
    r = {m: np.corrcoef(getattr(exact, m)[brain], getattr(rounded, m)[brain])[0, 1] for m in ("entropy", "epistemic")}
    largest = float(np.abs(exact.probability - rounded.probability).max())
    volumes = [float(np.mean(v.volumes_ml)) for v in (exact_ml, rounded_ml)]
    print(f"bfloat16 against float32, the same draws: r entropy {r['entropy']:.5f}, r epistemic {r['epistemic']:.4f}, "
          f"mean probability at most {largest:.3f} apart, mean volume {volumes[1]:.3f} for {volumes[0]:.3f} ml, "
          f"{seconds['f32'] / seconds['bf16']:.1f} times as fast")  # fmt: skip


if __name__ == "__main__":
    main()
