"""Information of SWI and TOF about the thrombus, and of DWI, ADC and b0 about the lesion, with expected results.

Run: ``python benchmarks/phantom_information.py --out FOLDER [--clots 20] [--lesion-masks MASKS] [--workers 2]``. It
prints the tables of ``docs/explanation/information.md``.

Thrombus: phantoms of the monocentric preset with one clot, in two groups of equal size. Central clots lie in the
internal carotid artery, M1 or the basilar artery, distal ones in M2, M3 or beyond. Each group is analysed on its own,
in the clot and its mirror image: voxel by voxel, and with the darkest SWI and the brightest TOF within some
millimetres, which corresponds to a reader's comparison of both sides. From the visibility to readers, SWI and TOF
should be redundant for central clots, and SWI should have unique information about distal ones. The measurement does
not use that knowledge.

Lesion: phantoms of the diffusion preset, where b0 is the T2-weighted image that ADC and DWI have in common.

FOLDER keeps the cases with clots, which are not simulated again. Phantoms are not patients.
"""

import argparse
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from adumbra.core.case import Case
from adumbra.experiments.information import (
    QUANTITIES,
    InformationConfig,
    InformationResult,
    estimate_information,
)
from adumbra.experiments.observations import CaseObservations, ObservationOptions, describe_voxels, observe_cases
from adumbra.experiments.symbol_counts import parse_sources
from adumbra.phantom.anatomy.head import sample_head
from adumbra.phantom.generate import phantom_from
from adumbra.phantom.pathology.disease import sample_disease
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.phantom.rng import stream
from adumbra.phantom.vasculature.subject import sample_vasculature
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.cache import CaseSource

GROUPS = {"central": {"ICA", "M1", "basilar"}, "distal": {"M2", "M3+"}}
PRESET = replace(preset_named("monocentric"), patterns={"territorial": 1.0})
FIRST_SEED = 71_000_000
REACHES_MM = (0.0, 2.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True)
class StoredCase:
    """A case in a file.

    Attributes:
        path: The pickle file.
    """

    path: Path

    @property
    def name(self) -> str:
        """The name of the file without its suffix."""
        return self.path.stem

    def open(self) -> Case:
        """Reads the case."""
        return Case(*pickle.loads(self.path.read_bytes()))


def clot_group(seed: int) -> str | None:
    """The group of the only clot of a seed, without images; None for several clots, or one of neither group."""
    anatomy, _ = sample_head(stream(seed, "head"), spacing_mm=PRESET.spacing_mm)
    vessels = sample_vasculature(stream(seed, "vessels"), anatomy)
    stroke = sample_disease(
        stream(seed, "disease"), anatomy, vessels, patterns=PRESET.patterns, latest_h=PRESET.latest_h
    ).stroke
    if stroke is None or stroke.is_open or len(stroke.clots) != 1:
        return None
    return next((name for name, sites in GROUPS.items() if stroke.clots[0].site in sites), None)


def store_case(seed: int, folder: Path, wanted: int) -> None:
    """Writes the case of a seed into the folder of its group, unless that is full."""
    marker = folder / f"seen-{seed}"
    if marker.exists():
        return
    group = clot_group(seed)
    if group is not None and len(list(folder.glob(f"{group}/*.pickle"))) < wanted:
        case = phantom_from(simulate_patient(seed, preset=PRESET), seed, "monocentric").case
        path = folder / group / f"{case.name}.pickle"
        path.parent.mkdir(parents=True, exist_ok=True)
        scans = {name: case.scans[name] for name in ("swi", "tof")}
        masks = {name: case.masks[name] for name in ("brain", "thrombus") if name in case.masks}
        path.with_suffix(".part").write_bytes(pickle.dumps((case.name, scans, masks, case.provenance)))
        path.with_suffix(".part").replace(path)
    marker.touch()


def stored_clots(folder: Path, wanted: int, *, workers: int) -> dict[str, list[CaseSource]]:
    """The cases of each group, as many as wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = count(FIRST_SEED)
    with get_context("spawn").Pool(workers) as pool:
        while True:
            files_by_group = {name: sorted(folder.glob(f"{name}/*.pickle")) for name in GROUPS}
            if all(len(files) >= wanted for files in files_by_group.values()):
                return {name: [StoredCase(path) for path in files[:wanted]] for name, files in files_by_group.items()}
            print({name: len(files) for name, files in files_by_group.items()}, flush=True)
            batch = [next(seeds) for _ in range(4 * workers)]
            pool.map(partial(store_case, folder=folder, wanted=wanted), batch, chunksize=1)


def print_rows(results: Sequence[InformationResult], *, what: str) -> None:
    """Prints a row of the table for each result."""
    columns = ("target_1", "target_2", *(name for name in QUANTITIES if name.startswith("broja")))
    for result in results:
        place = [QUANTITIES.index(name) for name in columns]
        low, high = result.estimate.low, result.estimate.high
        cells = " | ".join(f"{result.estimate.value[k]:.3f} ({low[k]:.3f} to {high[k]:.3f})" for k in place)
        names = f"{what} | {', '.join(result.sources)} | {result.region} | {result.patients} | {result.voxels}"
        print(f"| {names} | {cells} |", flush=True)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that stores the cases")
    parser.add_argument("--clots", type=int, default=20, help="phantoms of each group; 0 for none")
    parser.add_argument("--lesions", type=int, default=40, help="phantoms; 0 for none")
    parser.add_argument("--lesion-masks", type=Path, help="masks of real lesions in MNI space")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.lesions:
        print_lesion_table(options.lesions, lesion_mask_files(options.lesion_masks), workers=options.workers)
    if options.clots:
        print_clot_table(options.out, options.clots, workers=options.workers)


def print_lesion_table(number: int, masks: tuple[Path, ...], *, workers: int) -> None:
    """Prints the information of ADC, b0, and DWI with ADC about the lesion."""
    config = InformationConfig("lesion", parse_sources("adc,b0,dwi+adc"), ("mirror", "border"), permutations=200)
    cases = [PhantomRef(51, n, masks) for n in range(number)]
    observation = ObservationOptions("lesion", config.modalities, registration="never")
    print_rows(estimate_information(observe_cases(cases, observation, workers=workers), config), what="lesion")


def print_clot_table(folder: Path, number: int, *, workers: int) -> None:
    """Prints the information of SWI and TOF about the thrombus for each group of clots."""
    config = InformationConfig("thrombus", parse_sources("swi,tof"), ("mirror",), bins=4)
    observation = ObservationOptions("thrombus", config.modalities, registration="never")
    for name, cases in stored_clots(folder, number, workers=workers).items():
        plain = observe_cases(cases, observation, workers=workers)
        for reach_mm in REACHES_MM:
            options = replace(observation, reach_mm=reach_mm, sided=reach_mm > 0)
            observations = [describe_again(case, options) for case in plain]
            print_rows(estimate_information(observations, config), what=f"{name} thrombus, {reach_mm:g} mm")


def describe_again(case: CaseObservations, options: ObservationOptions) -> CaseObservations:
    """The observations of a case with another description of its intensities."""
    intensities = {m: describe_voxels(v, case.context, options, dark=m == "swi") for m, v in case.intensities.items()}
    return replace(case, intensities=intensities)


if __name__ == "__main__":
    main()
