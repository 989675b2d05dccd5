"""The learned brain mask beside the classical one, and beside deepbet, on held-out phantoms of every sequence.

Run: ``python benchmarks/brain_mask.py --diffusion 60 --vessels 10 --cache DIR``. With ``--deepbet PYTHON``, the
interpreter of an environment with deepbet 1.0.2 (``pip install deepbet torch``), every image is also given to deepbet.

The true brain is grey and white matter and the fluid within 1 mm of the brain's surface, as each acquisition displaces
it; sulci and ventricles are filled. Each image is measured as it is (``plain``), with Rician noise of a tenth of the
brain's signal and eight zero voxels on each side (``margin``), and turned by 11 and 17 degrees with interpolated
corners (``turned``). A failure is a Dice below 0.85.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.preprocessing.brain_mask import extract_brain
from adumbra.preprocessing.brain_plausibility import implausibilities
from adumbra.simulation.cohort import case_seed
from median_otsu import median_otsu

SEED = 47
FAILURE = 0.85
SURFACE_MM = 1.0
NOISE, MARGIN = 0.1, 8
DEEPBET = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from deepbet import run_bet
folder = Path(sys.argv[1])
images = sorted(folder.glob("*_image.nii.gz"))
start = time.process_time()
masks = [str(i).replace("_image", "_mask") for i in images]
run_bet([str(i) for i in images], mask_paths=masks, no_gpu=True)
print("CPU", (time.process_time() - start) / max(1, len(images)))
"""


@dataclass(frozen=True, eq=False)
class Image:
    """One image of a held-out phantom with its true brain, both on ``grid``."""

    preset: str
    modality: str
    volume: np.ndarray
    truth: np.ndarray
    grid: Grid


def images_of(preset: str, number: int, cache: Path) -> Iterator[Image]:
    """The images of a phantom, from the cache where they are there."""
    path = cache / f"{preset}{number:05d}.npz"
    if not path.exists():
        arrays: dict[str, np.ndarray] = {}
        patient = simulate_patient(case_seed(SEED, number), preset=preset_named(preset))
        brain = (patient.head.depth_mm <= SURFACE_MM).astype(np.float32)
        for acquisition in patient.acquisitions.values():
            truth = acquisition.sampler.sample(brain, stacks=False) > 0.5
            for modality, scan in acquisition.scans.items():
                if modality != "phase" and modality in patient.setup.sequences:
                    arrays |= {f"{modality}/volume": scan.data, f"{modality}/truth": truth}
                    arrays[f"{modality}/affine"] = scan.grid.affine
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(path, **arrays)  # type: ignore[arg-type]
    with np.load(path) as stored:
        for modality in sorted({name.split("/")[0] for name in stored}):
            volume = stored[f"{modality}/volume"]
            grid = Grid(volume.shape, stored[f"{modality}/affine"])
            yield Image(preset, modality, volume, stored[f"{modality}/truth"], grid)


def with_margin(image: Image, rng: np.random.Generator) -> Image:
    """The image with noise everywhere and eight voxels of zeros on each side."""
    signal = float(np.median(np.abs(image.volume[image.truth]))) if image.truth.any() else 1.0
    real, imaginary = (NOISE * signal * rng.standard_normal((2, *image.volume.shape))).astype(np.float32)
    noisy = image.volume + real if image.modality == "adc" else np.hypot(image.volume + real, imaginary)
    shifted = np.eye(4)
    shifted[:3, 3] = -MARGIN
    volume, truth = np.pad(noisy, MARGIN), np.pad(image.truth, MARGIN)
    return Image(image.preset, image.modality, volume, truth, Grid(volume.shape, image.grid.affine @ shifted))


def turned(image: Image, rng: np.random.Generator) -> Image:
    """The image interpolated on a grid that is turned about two axes; its corners hold zeros and residue."""
    (a, b), grid = np.radians([11.0, 17.0]), image.grid
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    centre = grid.world_mm((np.array(grid.shape) - 1) / 2)
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ grid.affine[:3, :3]
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    new = Grid(grid.shape, affine)
    volume = resample(image.volume, grid, new, antialias=False)
    volume = np.where(volume == 0, (1e-16 * rng.standard_normal(new.shape)).astype(np.float32), volume)
    return Image(image.preset, image.modality, volume, resample(image.truth.astype(np.float32), grid, new) > 0.5, new)


VARIANTS: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    "plain": lambda image, _: image,
    "margin": with_margin,
    "turned": turned,
}


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """The Dice of two masks, one of which is not empty."""
    return 2.0 * float((one & other).sum()) / float(one.sum() + other.sum())


def masks_of_deepbet(images: list[Image], interpreter: str) -> tuple[list[np.ndarray], float]:
    """The masks of deepbet, and its CPU-seconds for one image."""
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images):
            nib.save(nib.Nifti1Image(image.volume, image.grid.affine), f"{folder}/{number:05d}_image.nii.gz")
        command = [interpreter, "-c", DEEPBET, folder]
        process = subprocess.run(command, capture_output=True, text=True, check=True)
        files = [f"{folder}/{number:05d}_mask.nii.gz" for number in range(len(images))]
        # deepbet writes no mask where its network finds no brain.
        masks = [
            np.asarray(nib.load(file).dataobj) > 0 if Path(file).exists() else np.zeros_like(image.truth)
            for file, image in zip(files, images, strict=True)
        ]
    return masks, float(process.stdout.split("CPU")[-1])


def main() -> None:
    """Measures every arm on every image and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--diffusion", type=int, default=60)
    parser.add_argument("--vessels", type=int, default=10, help="cases each of monocentric and multicentric")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "brain-mask")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--arms", nargs="*", default=["learned", "classical"])
    parser.add_argument("--deepbet", default="")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arms = {"learned": extract_brain, "classical": median_otsu}
    counts = {"diffusion": arguments.diffusion, "multicentric": arguments.vessels, "monocentric": arguments.vessels}
    rows: list[dict[str, object]] = []
    for preset, cases in counts.items():
        for number in range(cases):
            for image in images_of(preset, number, arguments.cache):
                rng = np.random.default_rng([SEED, number])
                variants = {name: VARIANTS[name](image, rng) for name in arguments.variants}
                row = {"preset": preset, "number": number, "modality": image.modality}
                for name, variant in variants.items():
                    for arm in arguments.arms:
                        start = time.process_time()
                        mask = arms[arm](variant.volume, variant.grid)
                        seconds = time.process_time() - start
                        warned = implausibilities(mask, variant.grid)
                        score = {"dice": dice(mask, variant.truth), "cpu_s": seconds, "warned": warned}
                        rows.append(row | {"variant": name, "arm": arm} | score)
                if arguments.deepbet:
                    masks, seconds = masks_of_deepbet(list(variants.values()), arguments.deepbet)
                    for (name, variant), mask in zip(variants.items(), masks, strict=True):
                        warned = implausibilities(mask, variant.grid)
                        score = {"dice": dice(mask, variant.truth), "cpu_s": seconds, "warned": warned}
                        rows.append(row | {"variant": name, "arm": "deepbet"} | score)
    if arguments.json:
        arguments.json.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print_table(rows)


def print_table(rows: list[dict[str, object]]) -> None:
    """One line for each arm, sequence and variant."""
    groups: dict[tuple[object, ...], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        key = tuple(row[name] for name in ("arm", "modality", "variant"))
        groups[key].append((float(str(row["dice"])), float(str(row["cpu_s"]))))
    print("arm        sequence  variant    n   mean   5th pct   least  failures  CPU-s")
    for (arm, modality, variant), values in sorted(groups.items()):
        dices, seconds = np.array(values).T
        failures = int((dices < FAILURE).sum())
        line = f"{arm:10} {modality:9} {variant:8} {len(dices):3}  {dices.mean():.3f}    {np.quantile(dices, 0.05):.3f}"
        print(f"{line}   {dices.min():.3f}  {failures:8}  {np.median(seconds):5.2f}")
    for arm in sorted({str(row["arm"]) for row in rows}):
        own = [(float(str(row["dice"])) < FAILURE, bool(row["warned"])) for row in rows if row["arm"] == arm]
        failures = [warned for failed, warned in own if failed]
        others = [warned for failed, warned in own if not failed]
        print(f"{arm}: implausible {sum(failures)} of {len(failures)} failures, {sum(others)} of {len(others)} others")


if __name__ == "__main__":
    main()
