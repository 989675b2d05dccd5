"""Prediction of one real case: time, peak memory, Dice and lesion-wise F1, beside thresholding in the same run.

Run: ``python benchmarks/predict_case.py CASE``, with CASE as ``adumbra predict`` takes it and with its mask.

The claims: 20 draws in under 60 s on 2 cores and under 4 GB, and memory that does not grow with the number of draws.
The peer is a rule of thumb: ADC < 620·10⁻⁶ mm²/s, and DWI brighter than the brain's mean by 1.5 standard deviations.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from adumbra.cases.registry import open_case
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.preprocessing.alignment import align

DRAWS = (5, 20, 80)


def predict(case: str, draws: int, out: Path) -> dict[str, float]:
    """Wall and CPU seconds, peak GB and scores of ``adumbra predict`` in a process of its own."""
    adumbra = str(Path(sys.executable).with_name("adumbra"))
    command = [adumbra, "predict", case, "--out", str(out), "--draws", str(draws)]
    runner = (
        "import resource,subprocess,sys,json;"
        "r=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE,check=True,text=True);"
        "u=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(json.dumps([json.loads(r.stdout)['scores'],u.ru_maxrss/1e6,u.ru_utime+u.ru_stime]))"
    )
    begun = time.monotonic()
    process = subprocess.run(
        [sys.executable, "-c", runner, *command, "--json", "--quiet"], capture_output=True, check=True, text=True
    )
    scores_of_case, peak_gb, cpu = json.loads(process.stdout)
    return {"wall": time.monotonic() - begun, "cpu": cpu, "peak_gb": peak_gb, **scores_of_case}


def threshold_scores(case: str) -> dict[str, float]:
    """The scores of the rule of thumb."""
    aligned = align(open_case(case), reference="dwi", registration="never")
    dwi, adc, brain = aligned.scans["dwi"].data, aligned.scans["adc"].data, aligned.masks["brain"].data
    bright = dwi > dwi[brain].mean() + 1.5 * dwi[brain].std()
    mask = brain & bright & (adc < 0.62)
    return scores(mask, aligned.masks["lesion"].data, aligned.grid)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case")
    case = parser.parse_args().case
    print(f"{'method':14s} {'wall s':>7s} {'CPU s':>7s} {'peak GB':>8s} {'Dice':>6s} {'F1':>6s}")
    begun, cpu = time.monotonic(), time.process_time()
    rule = threshold_scores(case)
    own_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    took = (time.monotonic() - begun, time.process_time() - cpu, own_gb)
    print(
        f"{'threshold':14s} {took[0]:7.1f} {took[1]:7.1f} {took[2]:8.2f} {rule['dice']:6.3f} {rule['lesion_f1']:6.3f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for draws in DRAWS:
            row = predict(case, draws, Path(folder) / str(draws))
            name = f"{draws} draws"
            print(
                f"{name:14s} {row['wall']:7.1f} {row['cpu']:7.1f} {row['peak_gb']:8.2f}"
                f" {row['dice']:6.3f} {row['lesion_f1']:6.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
