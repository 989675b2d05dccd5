"""Plots a training: the smoothed loss, and the Dice of the held-out simulated cases.

Run: ``python trainings/curve.py LOG.jsonl CURVE.svg``.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure

rcParams["svg.hashsalt"] = "adumbra"


def main() -> None:
    """Plots each stage on its own, since each has other held-out cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("curve", type=Path)
    options = parser.parse_args()
    lines = [json.loads(line) for line in options.log.read_text("utf-8").splitlines()]
    figure = Figure(figsize=(8, 3.6))
    left = figure.subplots()
    right = left.twinx()
    stages = list(dict.fromkeys(line.get("stage", "") for line in lines))
    for stage in stages:
        own = [line for line in lines if line.get("stage", "") == stage]
        plot_stage(left, right, own, labelled=stage == stages[0])
    for stage in stages[1:]:
        left.axvline(min(line["step"] for line in lines if line.get("stage") == stage), color="0.6", lw=0.8, ls=":")
    left.set(xlabel="step", ylabel="loss", ylim=(0, None))
    right.set(ylabel="Dice", ylim=(0, 1))
    figure.legend(loc="upper center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(options.curve, bbox_inches="tight", metadata={"Date": None})


def plot_stage(left, right, lines: list[dict], *, labelled: bool) -> None:
    """Plots the curves of one stage; ``training.validate`` defines small and large targets."""
    loss = {line["step"]: line["loss"] for line in lines if "loss" in line}
    held_out = {line["step"]: line for line in lines if "dice" in line}
    width, every = min(25, len(loss)), int(np.diff(list(loss)[:2])[0])
    smooth = np.convolve(list(loss.values()), np.ones(width) / width, mode="valid")
    name = f"loss, mean over {width * every} steps"
    left.plot(list(loss)[width - 1 :], smooth, color="#0b5c7a", label=name if labelled else None)
    for key, style in (("dice_large", "s-"), ("dice", "o-"), ("dice_small", "v-")):
        values = [line[key] for line in held_out.values()]
        colour = {"dice_large": "C0", "dice": "C1", "dice_small": "C2"}[key]
        right.plot(list(held_out), values, style, ms=4, color=colour, label=f"held-out {key}" if labelled else None)


if __name__ == "__main__":
    main()
