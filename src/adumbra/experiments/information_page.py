"""The results of a study of information as charts, tables and notes for its page; and the pointwise maps as images."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import combinations, product
from math import isnan
from pathlib import Path

import numpy as np

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.geometry.grid import reorient
from adumbra.core.geometry.resampling import resample
from adumbra.experiments.information import QUANTITIES, InformationConfig, InformationResult, result_rows
from adumbra.experiments.observations import CaseObservations
from adumbra.experiments.symbol_counts import shared_bins
from adumbra.information.estimators.pointwise import pointwise_information_map
from adumbra.report.bars import Bar, BarChart, bar_chart
from adumbra.report.bids import bids_name, json_bytes
from adumbra.report.derivatives import nifti_bytes
from adumbra.report.information import write_information

LABELS = {
    "sources": "I({0}; {1})", "target_1": "I(target; {0})", "target_2": "I(target; {1})",
    "target_both": "I(target; both)", "broja_redundancy": "redundancy", "broja_unique_1": "only {0}",
    "broja_unique_2": "only {1}", "broja_synergy": "synergy", "i_min_redundancy": "redundancy, I_min",
    "i_min_unique_1": "only {0}, I_min", "i_min_unique_2": "only {1}, I_min", "i_min_synergy": "synergy, I_min",
}  # fmt: skip
"""What charts and tables call each of ``QUANTITIES``; the braces stand for the sources."""

COLUMNS = ("Quantity", "Sources", "Region", "Bits", "95 % interval by patient", "Extrapolated", "p", "Patients")


def write_page(results: Sequence[InformationResult], path: Path, *, subtitle: str, overwrite: bool) -> Path:
    """Writes the page, and its numbers as JSON and CSV.

    Raises:
        OutputRefused: A file exists already, or cannot be written.
    """
    rows = list(result_rows(results))
    text = StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    headings = dict.fromkeys(" and ".join(result.sources) for result in results)
    sections = [
        (heading, [chart(result) for result in results if " and ".join(result.sources) == heading])
        for heading in headings
    ]
    return write_information(
        path,
        title="Information of each modality about the target, and its decomposition",
        subtitle=subtitle,
        notes=notes(results),
        sections=sections,
        columns=COLUMNS,
        rows=[_cells(row) for row in rows],
        plain={"rows": rows},
        csv=text.getvalue().encode(),
        overwrite=overwrite,
    )


def chart(result: InformationResult) -> BarChart:
    """The atoms of one result: those of BROJA, and those of I_min for comparison."""
    chart_bars = []
    for name in QUANTITIES[4:]:
        k = QUANTITIES.index(name)
        estimate = result.estimate
        value, low, high = (float(number[k]) for number in (estimate.value, estimate.low, estimate.high))
        chart_bars.append(Bar(LABELS[name].format(*result.sources), value, low, high, faint=name.startswith("i_min")))
    return bar_chart(_region_title(result.region, result.quantile), chart_bars, unit="bits")


def notes(results: Sequence[InformationResult]) -> list[str]:
    """What a reader needs to know to interpret the charts."""
    lines = [
        'Values are bits per voxel. Redundancy is what both sources have in common. Bars with "only" show unique '
        "information, which one source has and the other lacks. Synergy is what only both together tell. BROJA "
        "depends only on the relation of each source to the target. I_min compares amounts of information and not "
        "their content, so read it beside BROJA and not instead of it.",
        "The line on each bar is its 95 % bootstrap interval. The unit of sampling is the patient, not the voxel.",
    ]
    constant = sorted({result.region for result in results if result.prevalence in (0.0, 1.0)})
    if constant:
        lines.append(f"In the region {', '.join(constant)} the target is constant, so no source is informative there.")
    if any(result.patients < 4 for result in results):
        lines.append("With fewer than four patients nothing is extrapolated, and intervals are coarse.")
    lines.append(
        'Binning loses some information, and few samples bias the estimates upwards. The column "Extrapolated" '
        "corrects what depends on the number of patients."
    )
    return lines


def write_maps(
    observations: Sequence[CaseObservations], config: InformationConfig, out: Path, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Writes the pointwise mutual information of each pair of modalities in each brain, on the stored grid.

    Sources of several modalities have no map.

    Raises:
        OutputRefused: A file exists already, or cannot be written.
    """
    shared = shared_bins(observations, config.sources, bins=config.bins, seed=config.seed)
    single = [source for source in config.sources if len(source) == 1]
    paths: list[Path] = []
    for case, (one, other) in product(observations, combinations(single, 2)):
        images = case.intensities[one[0]], case.intensities[other[0]]
        information = pointwise_information_map(
            *images, within=case.context.brain, bins=(*shared[one], *shared[other])
        ).astype(np.float32)
        paths += _write_map(case, information, one[0] + other[0], out, overwrite=overwrite)
    return tuple(paths)


def _write_map(
    case: CaseObservations, information: np.ndarray, name: str, out: Path, *, overwrite: bool
) -> tuple[Path, ...]:
    native, grid = reorient(information, case.context.grid, case.native.axcodes)
    if not grid.coincides(case.native):
        native = resample(information, case.context.grid, case.native)
    stem = f"{bids_name(case.name)}/{bids_name(case.name)}_desc-{name}_information"
    sidecar = {"Description": "Pointwise mutual information of the two sequences", "Units": "bit",
               "Use": "Research use only, not for diagnosis."}  # fmt: skip
    files = {f"{stem}.nii.gz": nifti_bytes(native, case.native), f"{stem}.json": json_bytes(sidecar)}
    return write_all_atomically(files, out, overwrite=overwrite)


def _region_title(region: str, quantile: int | None) -> str:
    return region if quantile is None else f"{region}, uncertainty quantile {quantile + 1}"


def _cells(row: Mapping[str, object]) -> list[str]:
    """The cells of a row of the page's table, in the order of ``COLUMNS``."""
    quantile = row["quantile"]
    assert quantile is None or isinstance(quantile, int)
    sources = str(row["source_1"]), str(row["source_2"])
    numbers = {name: float(str(row[name])) for name in ("bits", "low", "high", "extrapolated", "p")}
    texts = {name: "–" if isnan(value) else f"{value:.4f}" for name, value in numbers.items()}
    interval = "–" if isnan(numbers["low"]) else f"{texts['low']} to {texts['high']}"
    return [
        LABELS[str(row["quantity"])].format(*sources), ", ".join(sources), _region_title(str(row["region"]), quantile),
        texts["bits"], interval, texts["extrapolated"], texts["p"], str(row["patients"]),
    ]  # fmt: skip
