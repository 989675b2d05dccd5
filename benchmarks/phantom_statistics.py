"""Comparison of phantoms with published statistics of patients: clots, infarcts, hypoperfusion, visibility on TOF and
SWI.

Run: ``python benchmarks/phantom_statistics.py [--seeds 200] [--occlusions 200] [--workers 2]``. It prints the tables of
``docs/results/phantom-statistics.md``.

There are two cohorts: a mixture like that of a stroke unit, from the first hour to two weeks; and occlusions that
persist at an examination within a day, the population of trials. No images are simulated for these. Volumes are those
of the ground truth, and visibility follows from ``adumbra.phantom.observer_model``. Only the ADC is measured on images.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from adumbra.phantom.anatomy.head import sample_head
from adumbra.phantom.observer_model import visible_on_swi, visible_on_tof
from adumbra.phantom.pathology.clot import SITES
from adumbra.phantom.pathology.lesion import Pattern, sample_stage
from adumbra.phantom.pathology.stroke import sample_stroke
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.presets import ACUTE, PRESETS
from adumbra.phantom.rng import stream
from adumbra.phantom.vasculature.arteries import MEASURED_SHARES
from adumbra.phantom.vasculature.subject import Vasculature, sample_vasculature
from adumbra.phantom.vasculature.territories import LABELS

# Hours from onset to imaging of the occlusions: median 7.6, quartiles 3.9 and 13.2 (doi:10.1161/STROKEAHA.118.024035).
_HOURS, _HOURS_SPREAD, _WITHIN_H = 7.6, 0.9, 24.0
_SITES = {"ICA": "central", "M1": "central", "basilar": "central", "A1": "central", "P1": "central",
          "M2": "distal", "M3+": "distal"}  # fmt: skip
_ANGIOGRAPHY = TimeOfFlight(-45.0, 45.0, slabs=3, overlap=0.2, ramp=0.25, edge_mm=4.0)


@dataclass(frozen=True)
class ClotRecord:
    """One clot at the scan.

    Attributes:
        site: Its site.
        group: ``"central"``, ``"distal"`` or ``"between"``; the segment decides for ACA and PCA.
        length_mm: Its length.
        sign: Whether it has the susceptibility vessel sign.
        tof: Whether it is visible on TOF.
        swi: Whether it is visible on SWI.
    """

    site: str
    group: str
    length_mm: float
    sign: bool
    tof: bool
    swi: bool


@dataclass(frozen=True)
class PatientRecord:
    """One phantom; volumes in ml of tissue.

    Attributes:
        pattern: The infarct pattern.
        hours: Time from onset to the scan.
        is_open: Whether the artery has opened before the scan.
        lesion_ml: Volume of the infarct.
        tmax6_ml: Volume with Tmax above 6 s.
        tmax10_ml: Volume with Tmax above 10 s.
        outside_ml: Infarct outside hypoperfused tissue, with a clot present.
        clots: The clots at the scan.
        territory_shares: Share of the supplied tissue in each territory of ``MEASURED_SHARES``.
    """

    pattern: str
    hours: float
    is_open: bool
    lesion_ml: float
    tmax6_ml: float
    tmax10_ml: float
    outside_ml: float
    clots: tuple[ClotRecord, ...]
    territory_shares: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        quantity: Name of the quantity.
        measured: Value on the phantom, as text.
        published: Value in patients, as text.
        inside: Whether the phantom agrees with the published range.
        source: Key of the source.
    """

    quantity: str
    measured: str
    published: str
    inside: bool
    source: str


def simulate_record(
    seed: int, *, mix: Mapping[Pattern, float], sample_hours: Callable[[np.random.Generator], float]
) -> PatientRecord:
    """Simulates the phantom of a seed at 2 mm, without images.

    Args:
        seed: Seed of head, vessels and stroke.
        mix: Probability of each pattern.
        sample_hours: Samples the time from onset to the scan.
    """
    subject, _ = sample_head(stream(seed, "head"), spacing_mm=2.0)
    vessels, rng = sample_vasculature(stream(seed, "vessels"), subject), stream(seed, "disease")
    pattern = list(mix)[rng.choice(len(mix), p=list(mix.values()))]
    hours = sample_hours(rng)
    stroke = sample_stroke(rng, subject, vessels, pattern=pattern, hours=hours)
    ml = subject.tissue * subject.grid.voxel_ml
    core = stroke.infarct > 0.5
    tof = visible_on_tof(vessels.arteries, stroke.clots, stroke.collaterals, _ANGIOGRAPHY)
    return PatientRecord(
        pattern, hours, stroke.is_open,
        lesion_ml=float((stroke.infarct * ml).sum()),
        tmax6_ml=float(ml[stroke.hypoperfused].sum()),
        tmax10_ml=float(ml[stroke.tmax_s > 10].sum()),
        outside_ml=float(ml[core & vessels.tissue & ~stroke.hypoperfused].sum()) if stroke.clots else 0.0,
        clots=tuple(_clot_record(vessels, c, visible) for c, visible in zip(stroke.clots, tof, strict=True)),
        territory_shares=_by_territory(vessels, ml),
    )  # fmt: skip


def _clot_record(vessels: Vasculature, clot, tof: bool) -> ClotRecord:
    segment = vessels.arteries.names[vessels.arteries.segment[clot.nodes[0]]].split("_")[0]
    site = clot.site if clot.site in _SITES else segment
    return ClotRecord(
        clot.site, _SITES.get(site, "between"), clot.length_mm, clot.has_vessel_sign, tof, visible_on_swi(clot)
    )


def _by_territory(vessels: Vasculature, ml: np.ndarray) -> tuple[float, ...]:
    labels = vessels.territories
    large = {name.rsplit(" ", 1)[0] for name in LABELS}
    volume = {n: sum(float(ml[labels == LABELS[f"{n} {s}"]].sum()) for s in ("right", "left")) for n in large}
    return tuple(volume[n] / sum(volume.values()) for n in MEASURED_SHARES)


def sample_unit_hours(rng: np.random.Generator) -> float:
    """Samples the time from onset to the scan with the distribution of the phantom's examinations."""
    return sample_stage(rng).hours


def sample_early_hours(rng: np.random.Generator) -> float:
    """Samples the time from onset to imaging of large-vessel occlusions."""
    return float(np.clip(np.exp(rng.normal(np.log(_HOURS), _HOURS_SPREAD)), 0.5, _WITHIN_H))


def simulate_cohort(
    seeds: Sequence[int], simulate: Callable[[int], PatientRecord], *, workers: int
) -> list[PatientRecord]:
    """Simulates the patients of some seeds; the result does not depend on the number of workers."""
    with get_context("spawn").Pool(workers) as pool:
        return pool.map(simulate, seeds, chunksize=5)


@dataclass(frozen=True)
class Share:
    """A share of some cases.

    Attributes:
        value: The share.
        count: Number of cases.
    """

    value: float
    count: int

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % of {self.count}"

    def agrees(self, published: "Share") -> bool:
        """Whether both shares are compatible with one probability, at two standard errors."""
        pooled = (self.value * self.count + published.value * published.count) / (self.count + published.count)
        variance = pooled * (1 - pooled) * (1 / self.count + 1 / published.count)
        return abs(self.value - published.value) <= 2 * np.sqrt(variance)


def share(hits: Iterable[bool]) -> Share:
    """The share of true values."""
    values = list(hits)
    return Share(float(np.mean(values)) if values else float("nan"), len(values))


def share_row(quantity: str, measured: Share, published: Share, source: str) -> Row:
    """The row of a share that was also counted in patients."""
    return Row(quantity, str(measured), str(published), measured.agrees(published), source)


def quartiles(values: Iterable[float], *, digits: int = 0) -> tuple[float, str]:
    """The median, and a text with median and quartiles."""
    low, middle, high = np.percentile(list(values), [25, 50, 75])
    return float(middle), f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def clot_rows(patients: Sequence[PatientRecord]) -> list[Row]:
    """Rows about the clots at the scan; visibility is that of the first clot of each patient."""
    cases = [p.clots for p in patients if p.clots]
    every = [c for clots in cases for c in clots]
    length, sign = quartiles((c.length_mm for c in every), digits=1), share(c.sign for c in every)
    rows = [
        Row("clot length, median (quartiles), mm", length[1], "9–12; MCA 8.2 ± 4.6", 9 <= length[0] <= 12, "[1]"),
        Row("susceptibility vessel sign", str(sign), "78–87 %", 0.78 <= sign.value <= 0.87, "[2]"),
        share_row("several clots", share(len(clots) > 1 for clots in cases), Share(0.074, 324), "[3]"),
    ]
    for group, image, published in (
        ("central", "tof", Share(0.96, 63)),
        ("central", "swi", Share(0.97, 63)),
        ("distal", "tof", Share(0.39, 31)),
        ("distal", "swi", Share(0.84, 31)),
    ):
        visible = share(getattr(c[0], image) for c in cases if c[0].group == group)
        rows.append(share_row(f"{group} clots visible on {image.upper()}", visible, published, "[4]"))
    return rows


def site_rows(patients: Sequence[PatientRecord]) -> list[Row]:
    """Rows about the site of each patient's first clot."""
    sites, rows = [p.clots[0].site for p in patients if p.clots], []
    for site, expected in SITES.items():
        measured = share(s == site for s in sites)
        inside = abs(measured.value - expected) <= 2.5 * np.sqrt(expected * (1 - expected) / measured.count)
        rows.append(Row(f"site {site}", str(measured), f"{100 * expected:.0f} %", inside, "about"))
    trunk = share(s == "M1" for s in sites if s.startswith("M"))
    rows.append(Row("M1 of those in the MCA", str(trunk), "57.6 %", 0.45 <= trunk.value <= 0.70, "[5]"))
    return rows


def lesion_rows(patients: Sequence[PatientRecord]) -> list[Row]:
    """Rows about infarct volumes and territories."""
    volumes = [p.lesion_ml for p in patients if p.pattern != "none"]
    low, middle, high = np.percentile(volumes, [5, 50, 95])
    outside = sum(p.outside_ml for p in patients)
    shares = np.mean([p.territory_shares for p in patients], axis=0)
    rows = [
        Row("lesion volume, median, ml", f"{middle:.1f} ({len(volumes)} cases)", "5–20", 5 <= middle <= 20, "about"),
        Row("lesion volume, 5th percentile, ml", f"{low:.2f}", "about 0.3", 0.15 <= low <= 0.6, "about"),
        Row("lesion volume, 95th percentile, ml", f"{high:.0f}", "to 200", 60 <= high <= 200, "about"),
        Row("core outside hypoperfusion, artery closed, ml", f"{outside:.1f}", "0", outside < 0.05, "definition"),
    ]
    for name, supplied, flow in zip(MEASURED_SHARES, shares, MEASURED_SHARES.values(), strict=True):
        texts = f"{100 * supplied:.0f} %", f"{100 * flow:.0f} % of flow"
        rows.append(Row(f"tissue supplied by the {name}", *texts, abs(supplied - flow) < 0.04, "[6]"))
    return rows


def occlusion_rows(patients: Sequence[PatientRecord]) -> list[Row]:
    """Rows about occlusions of a large anterior artery that persist at a scan within a day."""
    large = [p for p in patients if p.clots and p.clots[0].site in ("ICA", "M1")]
    core, late = (np.array([getattr(p, n) for p in large]) for n in ("lesion_ml", "tmax6_ml"))
    hours, later = (np.array([getattr(p, n) for p in large]) for n in ("hours", "tmax10_ml"))
    median, volume, rate = quartiles(core), quartiles(late), quartiles(core / hours, digits=1)
    small, fast, slow = share(core <= 70), share(core[hours < 6] > 70), share(core[hours >= 6] <= 30)
    intensity = quartiles(later / np.maximum(late, 1e-3), digits=2)
    target = share((core < 70) & (late - core >= 15) & (late >= 1.8 * core))
    ratio = quartiles(late / np.maximum(core, 0.1), digits=1)
    return [
        Row("core, median (quartiles), ml", median[1], "17; 10", 8 <= median[0] <= 25, "[7], [8]"),
        share_row("core of 70 ml or less", small, Share(0.72, 185), "[7]"),
        share_row("core above 70 ml before 6 h", fast, Share(0.25, 75), "[7]"),
        share_row("core of 30 ml or less from 6 to 24 h", slow, Share(0.55, 110), "[7]"),
        Row("core over hours since onset, ml/h", rate[1], "2.2 (0–8.7)", 0 <= rate[0] <= 8.7, "[9]"),
        Row("Tmax > 6 s, median (quartiles), ml", volume[1], "115 (75–150)", 75 <= volume[0] <= 150, "about"),
        Row("Tmax > 10 s of it", intensity[1], "0.4 to 0.7", 0.4 <= intensity[0] <= 0.73, "[10], [11]"),
        Row("Tmax > 6 s over core", ratio[1], "above 1.8 in most", ratio[0] >= 1.8, "about"),
        Row("core < 70 ml, mismatch ≥ 15 ml and ≥ 1.8", str(target), "about 80 %", 0.7 <= target.value <= 0.9, "[12]"),
    ]


@dataclass(frozen=True)
class AdcRecord:
    """Median ADC on the image of one phantom in 10⁻³ mm²/s; nan for too few voxels.

    Attributes:
        hours: Time from onset to the scan.
        core: Inside of the infarct.
        white: White matter.
        grey: Grey matter.
    """

    hours: float
    core: float
    white: float
    grey: float


def measure_adc(seed: int) -> AdcRecord:
    """Measures the ADC map of a seed at 2 mm with noise, in voxels of one tissue."""
    patient = simulate_patient(seed, preset=PRESETS["diffusion"])
    image = patient.acquisitions["dwi"]
    adc, sample = image.scans["adc"].data, partial(image.sampler.sample, stacks=False)
    infarct, tissue = sample(patient.disease.infarct * patient.head.tissue), sample(patient.head.tissue)
    scarred = sample(np.maximum(patient.head.hyperintense, np.maximum(patient.disease.gliosis, patient.disease.cavity)))
    healthy = image.retained & (infarct < 0.01) & (tissue > 0.97) & (scarred < 0.05)
    kinds = (
        (infarct > 0.85) & image.retained,
        healthy & (sample(patient.head.white) > 0.95),
        healthy & (sample(patient.head.grey) > 0.9),
    )
    return AdcRecord(
        patient.disease.stage.hours, *(float(np.median(adc[k])) if k.sum() > 30 else np.nan for k in kinds)
    )


def adc_rows(seeds: int, *, workers: int) -> list[Row]:
    """Rows about the ADC of infarcts from 3 h to 3 days, before it rises again, and of normal tissue."""
    with get_context("spawn").Pool(workers) as pool:
        every = pool.map(measure_adc, range(seeds), chunksize=5)
    core = [m.core for m in every if 3 <= m.hours <= 72 and not np.isnan(m.core)]
    rows = []
    for name, values, low, high in (
        (f"ADC of the core, 3 h to 3 days, {len(core)} infarcts", core, 0.40, 0.62),
        ("ADC of white matter", [m.white for m in every if not np.isnan(m.white)], 0.70, 0.90),
        ("ADC of grey matter", [m.grey for m in every if not np.isnan(m.grey)], 0.70, 0.90),
    ):
        middle, text = quartiles(values, digits=2)
        rows.append(Row(f"{name}, median (quartiles), 10⁻³ mm²/s", text, f"{low:.1f}–{high:g}", low <= middle <= high,
                        "about"))  # fmt: skip
    return rows


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Prints a table in Markdown."""
    print(f"\n**{title}**\n\n| | phantom | published | | source |\n|---|---|---|---|---|")
    for row in rows:
        mark = "in" if row.inside else "**out**"
        print(f"| {row.quantity} | {row.measured} | {row.published} | {mark} | {row.source} |")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("seeds", 200), ("occlusions", 200), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    unit = partial(simulate_record, mix=dict(ACUTE), sample_hours=sample_unit_hours)
    early = partial(simulate_record, mix={"territorial": 1.0}, sample_hours=sample_early_hours)
    patients = simulate_cohort(range(options.seeds), unit, workers=options.workers)
    print_table(f"Examinations of a stroke unit, {options.seeds} seeds", lesion_rows(patients))
    occluded = [p for p in simulate_cohort(range(options.occlusions), early, workers=options.workers) if not p.is_open]
    print_table(f"Clots within a day of onset, {options.occlusions} seeds", clot_rows(occluded))
    print_table("Sites of the clots", site_rows(occluded))
    print_table("Occlusions of ICA and M1", occlusion_rows(occluded))
    print_table(f"ADC map, {options.seeds} seeds", adc_rows(options.seeds, workers=options.workers))


if __name__ == "__main__":
    main()
