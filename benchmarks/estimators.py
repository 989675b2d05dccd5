"""The estimators on held-out phantoms of both presets: how good each one's uncertainty is, and what it costs.

Run: ``python benchmarks/estimators.py --out DIR --weights NAME=FILE[,FILE...][:POSTERIOR] ... [--cases N]``. Each case
of an estimator is a line of ``DIR/rows.jsonl`` when it is measured, and what is there is not measured again. Prints the
table with 95 % intervals by patient: Dice, NLL and ECE near the boundary, AUROC of voxel errors, AURC, Spearman's ρ
of the expected Dice and Dice over cases, how often the interval of the volume holds the true one, seconds, peak memory.
Phantoms are not patients: the table compares methods.
"""

import argparse
import json
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from adumbra import cohort
from adumbra.evaluation.association import case_association
from adumbra.evaluation.intervals import bootstrap_mean, coverage
from adumbra.evaluation.quality import case_quality
from adumbra.networks.catalogue import load
from adumbra.posterior.catalogue import posterior_of
from adumbra.posterior.run import Running
from adumbra.road import read

SEED, PRESETS, DRAWS = 41, ("monocentric", "multicentric"), 20
MEANS = ("dice", "nll_boundary", "ece_boundary", "auroc", "aurc", "seconds", "peak_gb")


@dataclass(frozen=True)
class Estimator:
    """Weights, and what is drawn from them."""

    name: str
    weights: tuple[str, ...]
    posterior: str

    @classmethod
    def of(cls, text: str) -> "Estimator":
        """``name=file,file:posterior``."""
        name, _, rest = text.partition("=")
        files, _, posterior = rest.partition(":")
        return cls(name, tuple(files.split(",")), posterior)


def measured(estimators: tuple[Estimator, ...], preset: str, number: int, masks: tuple[Path, ...]) -> list[dict]:
    """A row for each estimator of one phantom, which is drawn once."""
    case = cohort.phantom(SEED, number, masks, preset_name=preset).case
    rows = []
    for estimator in estimators:
        networks = [load(name) for name in estimator.weights]
        posterior = posterior_of(networks, estimator.posterior, target="lesion", running=Running(threads=1))
        card = networks[0].card
        begun = time.process_time()
        reading = read(
            case, networks[0], posterior, target="lesion", draws=DRAWS, seed=number, threshold=card.threshold,
            peak_threshold=card.peak_threshold, registration="never",
        )  # fmt: skip
        seconds = time.process_time() - begun
        truth, brain = reading.case.masks["lesion"].data, reading.case.masks["brain"].data
        found = case_quality(reading.maps, reading.draws, truth, brain, reading.findings.volume_ml)
        held = {"low": found.interval.low, "high": found.interval.high, "true_ml": found.volume_ml}
        peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        about = {"estimator": estimator.name, "preset": preset, "case": number}
        rows.append({**about, **found.values, **held, "seconds": seconds, "peak_gb": peak_gb})
    return rows


def table(rows: list[dict]) -> None:
    """Prints a line for each estimator and preset."""
    heads = [*MEANS[:5], "case-level rho", "volumes held"]
    print(f"{'estimator':18s} {'preset':13s} {'n':>3s} " + " ".join(f"{h:>24s}" for h in heads) + "  CPU s    GB")
    for name, preset in dict.fromkeys((row["estimator"], row["preset"]) for row in rows):
        own = [row for row in rows if (row["estimator"], row["preset"]) == (name, preset)]
        generator = np.random.default_rng(0)
        means = [bootstrap_mean([row[m] for row in own], generator=generator) for m in MEANS]
        having = [row for row in own if row["true_ml"] > 0]
        said, good = ([row[key] for row in having] for key in ("expected_dice_loss", "dice"))
        rho = case_association(said, good, generator=generator)
        held = coverage(*([row[key] for row in own] for key in ("low", "high", "true_ml")))
        values = [(m.value, m.low, m.high) for m in means[:5]]
        values += [(rho.rho, rho.low, rho.high), (held.share, held.low, held.high)]
        cells = " ".join(f"{f'{value:.3g} ({low:.3g} to {high:.3g})':>24s}" for value, low, high in values)
        print(f"{name:18s} {preset:13s} {len(own):3d} {cells} {means[5].value:6.1f} {means[6].value:5.2f}")


def main() -> None:
    """Measures what is missing, then prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", action="append", default=[], type=Estimator.of)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--cases", type=int, default=30, help="of each preset")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    path, outlines = asked.out / "rows.jsonl", cohort.outline_files(asked.masks)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["estimator"], row["preset"], row["case"]) for row in rows}
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool, path.open("a") as file:
        coming = []
        for number in range(asked.cases):
            for preset in PRESETS:
                missing = tuple(e for e in asked.weights if (e.name, preset, number) not in done)
                if missing:
                    coming.append(pool.submit(measured, missing, preset, number, outlines))
        for future in coming:
            for row in future.result():
                rows.append(row)
                file.write(json.dumps(row) + "\n")
            file.flush()
    table(rows)


if __name__ == "__main__":
    main()
