"""What SWI and TOF know of the thrombus, and DWI, ADC and b0 of the lesion: two answers that are known beforehand.

Run: ``python benchmarks/phantom_information.py --out FOLDER [--clots 20] [--lesion-masks MASKS] [--workers 2]``. It
prints the tables of ``docs/concepts/information.md``. For the thrombus it draws phantoms of the monocentric preset with
one clot, as many with a central one (internal carotid, M1, basilar) as with a distal one (M2, M3 and beyond), and asks
for each group apart, in the clot and its mirror image: voxel by voxel, and with the darkest SWI and the brightest TOF
within some millimetres, one side against the other, as a reader looks for the vessel. That SWI and TOF are redundant
for central clots and SWI alone tells of distal ones is what their visibility to readers suggests; nothing of the
measurement knows of it. For the lesion: phantoms of the diffusion preset, where b0 is the image of T2 that ADC and DWI
have in common. FOLDER keeps the cases with clots: what is there is not drawn again. Phantoms are no patients.
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
    analyse,
    observe,
    sources_of,
)
from adumbra.experiments.observations import CaseObservations, ObservationOptions, described
from adumbra.phantom.anatomy.head import head
from adumbra.phantom.generate import phantom_of
from adumbra.phantom.pathology.disease import sample_disease
from adumbra.phantom.pathology.stroke import vasculature
from adumbra.phantom.patient import drawn
from adumbra.phantom.presets import preset
from adumbra.phantom.rng import stream
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.cache import CaseRef

GROUPS = {"central": {"ICA", "M1", "basilar"}, "distal": {"M2", "M3+"}}
PLAN = replace(preset("monocentric"), patterns={"territorial": 1.0})
FIRST_SEED = 71_000_000
REACHES_MM = (0.0, 2.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True)
class Kept:
    """A case in a file."""

    path: Path

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.stem

    def open(self) -> Case:
        """The case."""
        return Case(*pickle.loads(self.path.read_bytes()))


def group_of(seed: int) -> str | None:
    """Where the one clot of a seed is; None where there are several, or it is in neither group. No image is made."""
    anatomy, _ = head(stream(seed, "head"), spacing_mm=PLAN.spacing_mm)
    vessels = vasculature(stream(seed, "vessels"), anatomy)
    happened = sample_disease(stream(seed, "disease"), anatomy, vessels, plan=PLAN).stroke
    if happened is None or happened.is_open or len(happened.clots) != 1:
        return None
    return next((name for name, sites in GROUPS.items() if happened.clots[0].site in sites), None)


def made(seed: int, folder: Path, wanted: int) -> None:
    """Writes the case of a seed into the folder of its group, unless that is full."""
    marker = folder / f"seen-{seed}"
    if marker.exists():
        return
    group = group_of(seed)
    if group is not None and len(list(folder.glob(f"{group}/*.pickle"))) < wanted:
        case = phantom_of(drawn(seed, plan=PLAN), seed, "monocentric").case
        path = folder / group / f"{case.name}.pickle"
        path.parent.mkdir(parents=True, exist_ok=True)
        scans = {name: case.scans[name] for name in ("swi", "tof")}
        masks = {name: case.masks[name] for name in ("brain", "thrombus") if name in case.masks}
        path.with_suffix(".part").write_bytes(pickle.dumps((case.name, scans, masks, case.provenance)))
        path.with_suffix(".part").replace(path)
    marker.touch()


def clots(folder: Path, wanted: int, *, workers: int) -> dict[str, list[CaseRef]]:
    """So many cases of each group."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = count(FIRST_SEED)
    with get_context("spawn").Pool(workers) as pool:
        while True:
            found = {name: sorted(folder.glob(f"{name}/*.pickle")) for name in GROUPS}
            if all(len(files) >= wanted for files in found.values()):
                return {name: [Kept(path) for path in files[:wanted]] for name, files in found.items()}
            print({name: len(files) for name, files in found.items()}, flush=True)
            pool.map(
                partial(made, folder=folder, wanted=wanted), [next(seeds) for _ in range(4 * workers)], chunksize=1
            )


def shown(found: Sequence[InformationResult], *, what: str) -> None:
    """Prints a row of the table for each answer."""
    columns = ("target_1", "target_2", *(name for name in QUANTITIES if name.startswith("broja")))
    for answer in found:
        place = [QUANTITIES.index(name) for name in columns]
        low, high = answer.found.low, answer.found.high
        cells = " | ".join(f"{answer.found.value[k]:.3f} ({low[k]:.3f} to {high[k]:.3f})" for k in place)
        names = f"{what} | {', '.join(answer.sources)} | {answer.zone} | {answer.patients} | {answer.voxels}"
        print(f"| {names} | {cells} |", flush=True)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps the cases")
    parser.add_argument("--clots", type=int, default=20, help="phantoms of each group; 0 leaves them out")
    parser.add_argument("--lesions", type=int, default=40, help="phantoms; 0 leaves them out")
    parser.add_argument("--lesion-masks", type=Path, help="outlines of real lesions in MNI space")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    if asked.lesions:
        about_lesions(asked.lesions, lesion_mask_files(asked.lesion_masks), workers=asked.workers)
    if asked.clots:
        about_clots(asked.out, asked.clots, workers=asked.workers)


def about_lesions(number: int, outlines: tuple[Path, ...], *, workers: int) -> None:
    """Prints what ADC, b0 and both diffusion sequences know of the lesion."""
    asked = InformationConfig("lesion", sources_of("adc,b0,dwi+adc"), ("mirror", "border"), permutations=200)
    cases = [PhantomRef(51, n, outlines) for n in range(number)]
    look = ObservationOptions("lesion", asked.modalities, registration="never")
    shown(analyse(observe(cases, look, workers=workers), asked), what="lesion")


def about_clots(folder: Path, number: int, *, workers: int) -> None:
    """Prints what SWI and TOF know of the thrombus, for each group of clots apart."""
    asked = InformationConfig("thrombus", sources_of("swi,tof"), ("mirror",), bins=4)
    look = ObservationOptions("thrombus", asked.modalities, registration="never")
    for name, cases in clots(folder, number, workers=workers).items():
        plain = observe(cases, look, workers=workers)
        for reach_mm in REACHES_MM:
            brain_contexts = [looked_at(head, replace(look, reach_mm=reach_mm, sided=reach_mm > 0)) for head in plain]
            shown(analyse(brain_contexts, asked), what=f"{name} thrombus, {reach_mm:g} mm")


def looked_at(head: CaseObservations, look: ObservationOptions) -> CaseObservations:
    """A head that was observed plainly, in another way."""
    found = {m: described(v, head.head, look, dark=m == "swi") for m, v in head.intensities.items()}
    return replace(head, intensities=found)


if __name__ == "__main__":
    main()
