"""Whether the first pass of a guided training is uncertain where it errs: the information that a guide can have.

Run, after ``python -m adumbra.experiments.fusion_ablation train --target TARGET --out DIR``::

    python benchmarks/first_pass_errors.py DIR/TARGET

Each case is predicted by a network that was not trained on it. A voxel is a false negative if it belongs to the target
and its probability is below 1/2, and a false positive if it does not and its probability is above 1/2. It is uncertain
if its predictive entropy is above 0.1 bit.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors import safe_open

from adumbra.core.legacy import current_folder, stored_name

UNCERTAIN_BITS = 0.1


def main() -> None:
    """Prints the counts over all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    predictions = current_folder(folder / "first", "predictions")
    files = sorted(predictions.glob("*.safetensors"))
    if not files:
        raise SystemExit(f"{folder}: first-pass predictions of a guided arm were expected in {predictions}, found none")
    means, counts, targets = [], [], []
    for file in files:
        entropy, wrong, truth, brain = read_maps(file, folder / "cache" / file.name)
        uncertain = entropy > UNCERTAIN_BITS
        missed, false_positive = truth & wrong, brain & ~truth & wrong
        means.append((entropy[brain].mean(), uncertain[brain].mean()))
        masks = (missed, missed & uncertain, false_positive, false_positive & uncertain, truth)
        counts.append([int(mask.sum()) for mask in masks])
        if truth.any():
            targets.append((not (truth & ~wrong).any(), (truth & uncertain).any()))
    missed, uncertain_missed, false_positive, uncertain_false_positive, truth = np.sum(counts, axis=0)
    undetected, uncertain_targets = np.transpose(targets)
    entropy, uncertain = np.mean(means, axis=0)
    print(f"{len(files)} cases; predictive entropy in the brain: mean {entropy:.4f} bit, ", end="")
    print(f"over {UNCERTAIN_BITS} in {uncertain:.2%} of the voxels")
    print(
        f"false negatives: {missed / truth:.1%} of the target, of which {uncertain_missed / missed:.0%} are uncertain"
    )
    share = uncertain_false_positive / false_positive
    print(f"false positives: {false_positive} voxels, of which {share:.0%} are uncertain")
    silent = (undetected & ~uncertain_targets).sum()
    print(f"undetected: {undetected.sum()} of {len(undetected)} targets; {silent} of them without an uncertain voxel")


def read_maps(first_pass: Path, case: Path):
    """Predictive entropy in bits, errors, ground truth and brain of a case, each (X, Y, Z)."""
    with safe_open(first_pass, framework="np") as maps, safe_open(case, framework="np") as arrays:
        names = (stored_name("guidance", name, maps.keys()) for name in ("guidance", "errors"))
        entropy, errors = (maps.get_tensor(name)[0].astype(np.float32) for name in names)
        truth, brain = arrays.get_tensor("labels")[0].astype(bool), arrays.get_tensor("brain").astype(bool)
    return entropy, errors > 0.5, truth, brain


if __name__ == "__main__":
    main()
