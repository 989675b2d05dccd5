"""What was found of the sources, as charts, tables and sentences for its page; and the pointwise maps as images."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import combinations, product
from math import isnan
from pathlib import Path

import numpy as np

from adumbra.core.geometry.grid import reoriented
from adumbra.core.geometry.resampling import resampled
from adumbra.experiments.information import QUANTITIES, InformationConfig, InformationResult, rows_of, shared_bins
from adumbra.experiments.observations import CaseObservations
from adumbra.information.estimators.pointwise import pointwise
from adumbra.report.bars import Bar, Bars, bars
from adumbra.report.bids import bids_name, json_bytes
from adumbra.report.derivatives import nifti_bytes
from adumbra.report.information import write_information
from adumbra.report.staging import published

NAMES = {
    "sources": "sources with each other", "target_1": "target, {0}", "target_2": "target, {1}",
    "target_both": "target, both", "broja_redundancy": "redundant", "broja_unique_1": "only {0}",
    "broja_unique_2": "only {1}", "broja_synergy": "synergy", "i_min_redundancy": "redundant, I_min",
    "i_min_unique_1": "only {0}, I_min", "i_min_unique_2": "only {1}, I_min", "i_min_synergy": "synergy, I_min",
}  # fmt: skip
HEADS = ("Quantity", "Sources", "Region", "Bits", "95 % interval by patient", "Many patients", "p", "Patients")


def write_page(found: Sequence[InformationResult], path: Path, *, about: str, overwrite: bool) -> Path:
    """The page, its numbers as JSON and CSV; errors as of ``report.information.write_information``."""
    rows = list(rows_of(found))
    text = StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    headings = dict.fromkeys(" and ".join(answer.sources) for answer in found)
    sections = [
        (heading, [chart(answer) for answer in found if " and ".join(answer.sources) == heading])
        for heading in headings
    ]
    return write_information(
        path,
        title="What each sequence knows, alone and together",
        about=about,
        sentences=sentences(found),
        sections=sections,
        heads=HEADS,
        rows=[_cells(row) for row in rows],
        plain={"rows": rows},
        csv=text.getvalue().encode(),
        overwrite=overwrite,
    )


def chart(answer: InformationResult) -> Bars:
    """The atoms of one answer: BROJA, and I_min to be compared with."""
    drawn = []
    for name in QUANTITIES[4:]:
        k = QUANTITIES.index(name)
        value, low, high = (float(end[k]) for end in (answer.found.value, answer.found.low, answer.found.high))
        drawn.append(Bar(NAMES[name].format(*answer.sources), value, low, high, faint=name.startswith("i_min")))
    return bars(_region(answer.zone, answer.quantile), drawn, unit="bits")


def sentences(found: Sequence[InformationResult]) -> list[str]:
    """What cannot be read from bars."""
    said = [
        "Bits per voxel. Redundant: what either source tells of the target; only: what one tells and the other does "
        "not; synergy: what neither tells alone. BROJA takes what each source tells of the target and nothing else of "
        "them; I_min counts how much is told, not what: read it beside BROJA, not for it.",
        "The line on a bar is its 95 % interval over patients drawn again. Voxels of one patient are no independent "
        "samples.",
    ]
    constant = sorted({answer.zone for answer in found if answer.prevalence in (0.0, 1.0)})
    if constant:
        said.append(f"In the {', '.join(constant)} the target is constant: there is nothing to tell about it there.")
    if any(answer.patients < 4 for answer in found):
        said.append("Of fewer than four patients nothing is extrapolated, and intervals are coarse.")
    said.append("Intensities in bins: some information is lost in them, and some is made by chance; see the column for "
                "many patients, which takes off what falls with their number.")  # fmt: skip
    return said


def write_maps(
    brain_contexts: Sequence[CaseObservations], asked: InformationConfig, out: Path, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """The pointwise information of each pair of sequences in every voxel of each brain, on the scanner's own voxels.

    Sources of several sequences have none.

    Raises:
        OutputRefused: A file is there already, or cannot be written.
    """
    edges = shared_bins(brain_contexts, asked)
    single = [source for source in asked.sources if len(source) == 1]
    written: list[Path] = []
    for head, (one, other) in product(brain_contexts, combinations(single, 2)):
        images = head.intensities[one[0]], head.intensities[other[0]]
        found = pointwise(*images, within=head.head.brain, bins=(*edges[one], *edges[other]))
        written += _written(head, found.astype(np.float32), one[0] + other[0], out, overwrite=overwrite)
    return tuple(written)


def _written(head: CaseObservations, found: np.ndarray, name: str, out: Path, *, overwrite: bool) -> tuple[Path, ...]:
    there, turned = reoriented(found, head.head.grid, head.native.axcodes)
    if not turned.coincides(head.native):
        there = resampled(found, head.head.grid, head.native)
    stem = f"{bids_name(head.name)}/{bids_name(head.name)}_desc-{name}_information"
    about = {"Description": "Pointwise mutual information of the two sequences", "Units": "bit",
             "Use": "Research use only, not for diagnosis."}  # fmt: skip
    files = {f"{stem}.nii.gz": nifti_bytes(there, head.native), f"{stem}.json": json_bytes(about)}
    return published(files, out, overwrite=overwrite)


def _region(zone: str, quantile: int | None) -> str:
    return zone if quantile is None else f"{zone}, uncertainty quantile {quantile + 1}"


def _cells(row: Mapping[str, object]) -> list[str]:
    quantile = row["quantile"]
    assert quantile is None or isinstance(quantile, int)
    sources = str(row["source_1"]), str(row["source_2"])
    numbers = {name: float(str(row[name])) for name in ("bits", "low", "high", "extrapolated", "p")}
    shown = {name: "–" if isnan(value) else f"{value:.4f}" for name, value in numbers.items()}
    interval = "–" if isnan(numbers["low"]) else f"{shown['low']} to {shown['high']}"
    return [
        NAMES[str(row["quantity"])].format(*sources), ", ".join(sources), _region(str(row["region"]), quantile),
        shown["bits"], interval, shown["extrapolated"], shown["p"], str(row["patients"]),
    ]  # fmt: skip
