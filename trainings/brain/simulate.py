"""Simulates the training data of the brain network: images, the depth below the brain's surface, and tissue maps.

    adumbra simulate --cases 17 --seed 31 --preset multicentric --out COHORT
    python trainings/brain/simulate.py DATA --diffusion 77 --vessels 0 --seed 41 --cohort COHORT --cohort-cases 17

FLAIR, SWI and TOF come from the cohort of many centres, whose true brains are simulated again from its seeds. Each case
becomes one ``.npz`` file in DATA; a second call continues after the cases that are there. Images are stored at 3 mm, so
that the training can turn and crop them before it resamples them to the 4 mm of the network.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from adumbra.cases.registry import open_case
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample
from adumbra.phantom.anatomy.head import Head, sample_head
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner.acquisition import SliceSampler, sample_movement
from adumbra.phantom.scanner.setup import sample_setup
from adumbra.preprocessing.brain_input import content_of
from adumbra.simulation.cohort import case_seed

STORED_MM = 3.0
DEEPEST_MM = 12.0
TISSUES = ("grey", "white", "csf", "vitreous", "soft", "air")


def stored_image(volume: np.ndarray, grid: Grid, depth_mm: np.ndarray) -> dict[str, np.ndarray]:
    """An image at 3 mm: its values (float16, 99th percentile 1), the measured share of a voxel, the depth in mm."""
    coarse = respaced(grid, (STORED_MM,) * 3)
    content = content_of(volume)
    scale = np.percentile(np.abs(volume[content]), 99) if content.any() else 1.0
    values = resample((volume / max(scale, 1e-6)).astype(np.float32), grid, coarse)
    share = resample(content.astype(np.float32), grid, coarse)
    depth = resample(depth_mm, grid, coarse, fill=DEEPEST_MM)
    return {
        "image": np.clip(values, -60000, 60000).astype(np.float16),
        "share": np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8),
        "depth": np.rint(10 * depth).astype(np.int8),
    }


def depth_on_slices(head: Head, sampler: SliceSampler) -> np.ndarray:
    """The signed depth below the brain's surface, within 12 mm, as the acquisition displaces it."""
    return sampler.sample(np.clip(head.depth_mm, -DEEPEST_MM, DEEPEST_MM), stacks=False)


def acquired(seed: int, preset: str) -> dict[str, np.ndarray]:
    """The images of a phantom with their depth; names are ``<modality>/<array>``."""
    patient = simulate_patient(seed, preset=preset_named(preset))
    arrays: dict[str, np.ndarray] = {}
    for acquisition in patient.acquisitions.values():
        depth = depth_on_slices(patient.head, acquisition.sampler)
        for modality, scan in acquisition.scans.items():
            if modality != "phase":
                stored = stored_image(scan.data, scan.grid, depth)
                arrays |= {f"{modality}/{name}": array for name, array in stored.items()}
    return arrays


def from_cohort(folder: Path) -> dict[str, np.ndarray]:
    """FLAIR, SWI and TOF of a subject of a multicentric cohort; the depth is simulated again from its seed."""
    cohort, number = (int(part) for part in folder.name.removeprefix("sub-phantom").split("n"))
    seed, preset = case_seed(cohort, number), preset_named("multicentric")
    setup = sample_setup(stream(seed, "setup"), preset)
    head, _ = sample_head(stream(seed, "head"), spacing_mm=preset.spacing_mm)
    centre = head.grid.world_mm((np.array(head.grid.shape) - 1) / 2)
    arrays: dict[str, np.ndarray] = {}
    for modality, scan in open_case(folder).scans.items():
        if modality in ("flair", "swi", "tof"):
            moved = sample_movement(stream(seed, f"movement {modality}"), centre_mm=centre, strength=setup.movement)
            sampler = SliceSampler(head.grid, setup.stacks[modality], moved)
            if not sampler.grid.coincides(scan.grid):
                raise ValueError(f"{folder.name} {modality}: expected the grid that its seed gives")
            stored = stored_image(scan.data, scan.grid, depth_on_slices(head, sampler))
            arrays |= {f"{modality}/{name}": array for name, array in stored.items()}
    return arrays


def tissue_maps(seed: int) -> dict[str, np.ndarray]:
    """The tissue fractions of a head at 3 mm, bytes, with its depth; names are ``tissue/<array>``."""
    head, _ = sample_head(stream(seed, "head"), spacing_mm=2.0)
    coarse = respaced(head.grid, (STORED_MM,) * 3)
    maps = [resample(getattr(head, name), head.grid, coarse) for name in TISSUES]
    depth = resample(np.clip(head.depth_mm, -DEEPEST_MM, DEEPEST_MM), head.grid, coarse, fill=DEEPEST_MM)
    fractions = np.rint(255 * np.clip(np.stack(maps), 0, 1)).astype(np.uint8)
    return {"tissue/fractions": fractions, "tissue/depth": np.rint(10 * depth).astype(np.int8)}


def jobs(arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, np.ndarray]]]]:
    """The name of each case and the function that simulates it."""
    seeds = [arguments.seed * 1_000_000 + number for number in range(max(arguments.diffusion, arguments.vessels))]
    for number, seed in enumerate(seeds[: arguments.diffusion]):
        yield f"diffusion{number:05d}", lambda s=seed: acquired(s, "diffusion") | tissue_maps(s)  # type: ignore[misc]
    folders = sorted(arguments.cohort.glob("sub-*"))[: arguments.cohort_cases] if arguments.cohort else []
    for folder in folders:
        yield f"cohort-{folder.name}", lambda f=folder: from_cohort(f)  # type: ignore[misc]
    for preset in ("multicentric", "monocentric"):
        for number, seed in enumerate(seeds[: arguments.vessels]):
            yield f"{preset}{number:05d}", lambda s=seed, p=preset: acquired(s, p)  # type: ignore[misc]


def main() -> None:
    """Simulates what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--diffusion", type=int, default=80, help="cases of the preset diffusion, with tissue maps")
    parser.add_argument("--vessels", type=int, default=4, help="cases each of monocentric and multicentric")
    parser.add_argument("--cohort", type=Path, help="a simulated cohort of the preset multicentric")
    parser.add_argument("--cohort-cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=41)
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    for name, simulate in jobs(arguments):
        path = arguments.data / f"{name}.npz"
        if path.exists():
            continue
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, **simulate())  # type: ignore[arg-type]
        partial.replace(path)
        print(path.name, flush=True)


if __name__ == "__main__":
    main()
