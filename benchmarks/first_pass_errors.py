"""How much a first reading doubts, and whether it doubts where it errs: what an attention that doubt opens can know.

Run, after ``benchmarks/arms.py train --target TARGET --out DIR``: ``python benchmarks/first_readings.py DIR/TARGET``.
Of every case the reading is out of fold. Missed: of the target, under 1/2; called in error: not of it, over 1/2;
doubted: U over 0.1 bit.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors import safe_open

DOUBTED = 0.1


def main() -> None:
    """Prints the counts over all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    files = sorted((folder / "first" / "readings").glob("*.safetensors"))
    if not files:
        raise SystemExit(f"{folder}: readings of a guided arm were expected in first/readings, found none")
    mean, rows, targets = [], [], []
    for file in files:
        cached = folder / "cache" / file.name
        with safe_open(file, framework="np") as reading, safe_open(cached, framework="np") as case:
            doubt, wrong = (reading.get_tensor(name)[0].astype(np.float32) for name in ("guidance", "errors"))
            truth, brain = case.get_tensor("labels")[0].astype(bool), case.get_tensor("brain").astype(bool)
        doubted, mistaken = doubt > DOUBTED, wrong > 0.5
        missed, called = truth & mistaken, brain & ~truth & mistaken
        mean.append((doubt[brain].mean(), doubted[brain].mean()))
        rows.append([int(m.sum()) for m in (missed, missed & doubted, called, called & doubted, truth)])
        if truth.any():
            targets.append((not (truth & ~mistaken).any(), (truth & doubted).any()))
    missed, missed_doubted, called, called_doubted, truth = np.sum(rows, axis=0)
    unseen, noticed = np.transpose(targets)
    doubt, doubted = np.mean(mean, axis=0)
    print(f"{len(files)} cases; U in the brain: mean {doubt:.4f} bit, ", end="")
    print(f"over {DOUBTED} in {doubted:.2%} of the voxels")
    print(f"missed: {missed / truth:.1%} of the target's voxels, of which {missed_doubted / missed:.0%} are doubted")
    print(f"called in error: {called} voxels, of which {called_doubted / called:.0%} are doubted")
    print(f"wholly missed: {unseen.sum()} of {len(unseen)} targets; in {(unseen & ~noticed).sum()} no voxel is doubted")


if __name__ == "__main__":
    main()
