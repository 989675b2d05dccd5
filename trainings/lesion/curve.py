"""The curve of a training: loss, smoothed over 50 steps, and Dice on the held-out phantoms.

Run: ``python trainings/lesion/curve.py LOG.jsonl CURVE.svg``.
"""

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure

rcParams["svg.hashsalt"] = "adumbra"


def main() -> None:
    """Draws it."""
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    loss = {line["step"]: line["loss"] for line in lines if "loss" in line}
    held_out = {line["step"]: line for line in lines if "dice" in line}
    width = min(50, len(loss))
    smooth = np.convolve(list(loss.values()), np.ones(width) / width, mode="valid")
    figure = Figure(figsize=(8, 3.6))
    left = figure.subplots()
    left.plot(list(loss)[width - 1 :], smooth, color="#0b5c7a", label="loss, mean of 50 steps")
    left.set(xlabel="step", ylabel="loss", ylim=(0, None))
    right = left.twinx()
    for key, style in (("dice_large", "s-"), ("dice", "o-"), ("dice_small", "v-")):
        right.plot(list(held_out), [line[key] for line in held_out.values()], style, ms=4, label=f"held-out {key}")
    right.set(ylabel="Dice", ylim=(0, 1))
    figure.legend(loc="upper center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(sys.argv[2], bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
