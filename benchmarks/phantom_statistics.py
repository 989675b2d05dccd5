"""What befalls phantoms, beside what is published of patients: clots, infarcts, hypoperfusion, what TOF and SWI show.

Run: ``python benchmarks/phantom_statistics.py [--seeds 200] [--occlusions 200] [--workers 2]``. It prints the tables of
``docs/concepts/phantom-statistics.md``. Two cohorts: one mixed as a stroke unit's examinations from the first hour to
two weeks; and, since trials look at those, arteries that are closed at an examination within a day. No images are made
for these: volumes are those of the phantom's truth, and what is visible follows from ``adumbra.phantom.observer_model``.
The ADC alone is measured on images.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from adumbra.phantom.anatomy.head import head
from adumbra.phantom.observer_model import seen_on_swi, seen_on_tof
from adumbra.phantom.pathology.clot import SITES
from adumbra.phantom.pathology.lesion import Pattern, stage
from adumbra.phantom.pathology.stroke import Vasculature, stroke, vasculature
from adumbra.phantom.patient import drawn
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.presets import ACUTE, PRESETS
from adumbra.phantom.rng import stream
from adumbra.phantom.vasculature.arteries import MEASURED_SHARES
from adumbra.phantom.vasculature.territories import LABELS

# Hours from onset to imaging of the occlusions: median 7.6, quartiles 3.9 and 13.2 (doi:10.1161/STROKEAHA.118.024035).
_HOURS, _HOURS_SPREAD, _WITHIN_H = 7.6, 0.9, 24.0
_SITES = {"ICA": "central", "M1": "central", "basilar": "central", "A1": "central", "P1": "central",
          "M2": "distal", "M3+": "distal"}  # fmt: skip
_ANGIOGRAPHY = TimeOfFlight(-45.0, 45.0, slabs=3, overlap=0.2, ramp=0.25, edge_mm=4.0)


@dataclass(frozen=True)
class SeenClot:
    """One clot at the scan: where (the artery's first segment for ACA and PCA), how long, and who shows it."""

    site: str
    group: str
    length_mm: float
    sign: bool
    tof: bool
    swi: bool


@dataclass(frozen=True)
class Patient:
    """One phantom: volumes in ml of tissue."""

    pattern: str
    hours: float
    is_open: bool
    lesion_ml: float
    late_ml: float
    later_ml: float
    outside_ml: float
    clots: tuple[SeenClot, ...]
    territories_ml: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """One line of the table; ``inside`` says whether what was found lies in the published range."""

    quantity: str
    found: str
    published: str
    inside: bool
    source: str


def patient(seed: int, *, mix: Mapping[Pattern, float], hours_of: Callable[[np.random.Generator], float]) -> Patient:
    """The phantom of a seed, at 2 mm.

    Args:
        seed: Of head, vessels and stroke.
        mix: Chance of each pattern.
        hours_of: Draws the time from onset to the scan.
    """
    subject, _ = head(stream(seed, "head"), spacing_mm=2.0)
    vessels, rng = vasculature(stream(seed, "vessels"), subject), stream(seed, "disease")
    pattern = list(mix)[rng.choice(len(mix), p=list(mix.values()))]
    hours = hours_of(rng)
    happened = stroke(rng, subject, vessels, pattern=pattern, hours=hours)
    ml = subject.tissue * subject.grid.voxel_ml
    dead = happened.amount > 0.5
    tof = seen_on_tof(vessels.arteries, happened.clots, happened.collaterals, _ANGIOGRAPHY)
    return Patient(
        pattern, hours, happened.is_open,
        lesion_ml=float((happened.amount * ml).sum()),
        late_ml=float(ml[happened.hypoperfused].sum()),
        later_ml=float(ml[happened.tmax_s > 10].sum()),
        outside_ml=float(ml[dead & vessels.tissue & ~happened.hypoperfused].sum()) if happened.clots else 0.0,
        clots=tuple(_seen(vessels, c, shown) for c, shown in zip(happened.clots, tof, strict=True)),
        territories_ml=_by_territory(vessels, ml),
    )  # fmt: skip


def _seen(vessels: Vasculature, clot, tof: bool) -> SeenClot:
    segment = vessels.arteries.names[vessels.arteries.segment[clot.nodes[0]]].split("_")[0]
    site = clot.site if clot.site in _SITES else segment
    return SeenClot(
        clot.site, _SITES.get(site, "between"), clot.length_mm, clot.has_vessel_sign, tof, seen_on_swi(clot)
    )


def _by_territory(vessels: Vasculature, ml: np.ndarray) -> tuple[float, ...]:
    labels = vessels.territories
    large = {name.rsplit(" ", 1)[0] for name in LABELS}
    volume = {n: sum(float(ml[labels == LABELS[f"{n} {s}"]].sum()) for s in ("right", "left")) for n in large}
    return tuple(volume[n] / sum(volume.values()) for n in MEASURED_SHARES)


def unit_hours(rng: np.random.Generator) -> float:
    """The time from onset to the scan as the phantom's examinations have it."""
    return stage(rng).hours


def early_hours(rng: np.random.Generator) -> float:
    """The time from onset to imaging of large-vessel occlusions."""
    return float(np.clip(np.exp(rng.normal(np.log(_HOURS), _HOURS_SPREAD)), 0.5, _WITHIN_H))


def cohort(seeds: Sequence[int], draw: Callable[[int], Patient], *, workers: int) -> list[Patient]:
    """The patients of some seeds; the same whatever the number of workers."""
    with get_context("spawn").Pool(workers) as pool:
        return pool.map(draw, seeds, chunksize=5)


@dataclass(frozen=True)
class Share:
    """A share of some cases."""

    value: float
    count: int

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % of {self.count}"

    def agrees(self, published: "Share") -> bool:
        """Whether both may be draws of one chance, at two standard errors."""
        permutation_test = (self.value * self.count + published.value * published.count) / (
            self.count + published.count
        )
        return abs(self.value - published.value) <= 2 * np.sqrt(
            permutation_test * (1 - permutation_test) * (1 / self.count + 1 / published.count)
        )


def share(hits: Iterable[bool]) -> Share:
    """Of what is true."""
    values = list(hits)
    return Share(float(np.mean(values)) if values else float("nan"), len(values))


def beside(quantity: str, found: Share, published: Share, source: str) -> Row:
    """The row of a share that was counted in patients too."""
    return Row(quantity, str(found), str(published), found.agrees(published), source)


def quartiles(values: Iterable[float], *, digits: int = 0) -> tuple[float, str]:
    """The median, and as text with the quartiles."""
    low, middle, high = np.percentile(list(values), [25, 50, 75])
    return float(middle), f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def clot_rows(patients: Sequence[Patient]) -> list[Row]:
    """Of the clots at the scan; what images show is asked of each patient's first: behind it no flow is left."""
    cases = [p.clots for p in patients if p.clots]
    every = [c for clots in cases for c in clots]
    length, sign = quartiles((c.length_mm for c in every), digits=1), share(c.sign for c in every)
    rows = [
        Row("clot length, median (quartiles), mm", length[1], "9–12; MCA 8.2 ± 4.6", 9 <= length[0] <= 12, "[1]"),
        Row("susceptibility vessel sign", str(sign), "78–87 %", 0.78 <= sign.value <= 0.87, "[2]"),
        beside("several clots", share(len(clots) > 1 for clots in cases), Share(0.074, 324), "[3]"),
    ]
    for group, image, published in (
        ("central", "tof", Share(0.96, 63)),
        ("central", "swi", Share(0.97, 63)),
        ("distal", "tof", Share(0.39, 31)),
        ("distal", "swi", Share(0.84, 31)),
    ):
        seen = share(getattr(c[0], image) for c in cases if c[0].group == group)
        rows.append(beside(f"{group} clots seen on {image.upper()}", seen, published, "[4]"))
    return rows


def site_rows(patients: Sequence[Patient]) -> list[Row]:
    """Where the first clot of each patient lay."""
    sites, rows = [p.clots[0].site for p in patients if p.clots], []
    for site, permutation_test in SITES.items():
        found = share(s == site for s in sites)
        inside = abs(found.value - permutation_test) <= 2.5 * np.sqrt(
            permutation_test * (1 - permutation_test) / found.count
        )
        rows.append(Row(f"site {site}", str(found), f"{100 * permutation_test:.0f} %", inside, "about"))
    trunk = share(s == "M1" for s in sites if s.startswith("M"))
    rows.append(Row("M1 of those in the MCA", str(trunk), "57.6 %", 0.45 <= trunk.value <= 0.70, "[5]"))
    return rows


def lesion_rows(patients: Sequence[Patient]) -> list[Row]:
    """Of all infarcts, and of tissue."""
    volumes = [p.lesion_ml for p in patients if p.pattern != "none"]
    low, middle, high = np.percentile(volumes, [5, 50, 95])
    outside = sum(p.outside_ml for p in patients)
    shares = np.mean([p.territories_ml for p in patients], axis=0)
    rows = [
        Row("lesion volume, median, ml", f"{middle:.1f} ({len(volumes)} cases)", "5–20", 5 <= middle <= 20, "about"),
        Row("lesion volume, 5th percentile, ml", f"{low:.2f}", "about 0.3", 0.15 <= low <= 0.6, "about"),
        Row("lesion volume, 95th percentile, ml", f"{high:.0f}", "to 200", 60 <= high <= 200, "about"),
        Row("core outside hypoperfusion, artery closed, ml", f"{outside:.1f}", "0", outside < 0.05, "definition"),
    ]
    for name, found, flow in zip(MEASURED_SHARES, shares, MEASURED_SHARES.values(), strict=True):
        texts = f"{100 * found:.0f} %", f"{100 * flow:.0f} % of flow"
        rows.append(Row(f"tissue fed by the {name}", *texts, abs(found - flow) < 0.04, "[6]"))
    return rows


def occlusion_rows(patients: Sequence[Patient]) -> list[Row]:
    """Of occlusions of a large anterior artery within a day, closed at the scan."""
    large = [p for p in patients if p.clots and p.clots[0].site in ("ICA", "M1")]
    core, late = (np.array([getattr(p, n) for p in large]) for n in ("lesion_ml", "late_ml"))
    hours, later = (np.array([getattr(p, n) for p in large]) for n in ("hours", "later_ml"))
    median, volume, rate = quartiles(core), quartiles(late), quartiles(core / hours, digits=1)
    small, fast, slow = share(core <= 70), share(core[hours < 6] > 70), share(core[hours >= 6] <= 30)
    intensity = quartiles(later / np.maximum(late, 1e-3), digits=2)
    target = share((core < 70) & (late - core >= 15) & (late >= 1.8 * core))
    ratio = quartiles(late / np.maximum(core, 0.1), digits=1)
    return [
        Row("core, median (quartiles), ml", median[1], "17; 10", 8 <= median[0] <= 25, "[7], [8]"),
        beside("core of 70 ml or less", small, Share(0.72, 185), "[7]"),
        beside("core above 70 ml before 6 h", fast, Share(0.25, 75), "[7]"),
        beside("core of 30 ml or less from 6 to 24 h", slow, Share(0.55, 110), "[7]"),
        Row("core over hours since onset, ml/h", rate[1], "2.2 (0–8.7)", 0 <= rate[0] <= 8.7, "[9]"),
        Row("Tmax > 6 s, median (quartiles), ml", volume[1], "115 (75–150)", 75 <= volume[0] <= 150, "about"),
        Row("Tmax > 10 s of it", intensity[1], "0.4 to 0.7", 0.4 <= intensity[0] <= 0.73, "[10], [11]"),
        Row("Tmax > 6 s over core", ratio[1], "above 1.8 in most", ratio[0] >= 1.8, "about"),
        Row("core < 70 ml, mismatch ≥ 15 ml and ≥ 1.8", str(target), "about 80 %", 0.7 <= target.value <= 0.9, "[12]"),
    ]


@dataclass(frozen=True)
class Measured:
    """ADC on the image of one phantom in 10⁻³ mm²/s: medians of white and grey matter, and of the infarct's inside."""

    hours: float
    core: float
    white: float
    grey: float


def measured(seed: int) -> Measured:
    """What a reader would measure on the ADC map of a seed, at 2 mm and with noise; nan where too little is pure."""
    made = drawn(seed, plan=PRESETS["diffusion"])
    image = made.acquired["dwi"]
    adc, of = image.scans["adc"].data, partial(image.sampler.of, stacks=False)
    dead, tissue = of(made.disease.amount * made.head.tissue), of(made.head.tissue)
    scarred = of(np.maximum(made.head.hyperintense, np.maximum(made.disease.gliosis, made.disease.cavity)))
    well = image.seen & (dead < 0.01) & (tissue > 0.97) & (scarred < 0.05)
    kinds = ((dead > 0.85) & image.seen, well & (of(made.head.white) > 0.95), well & (of(made.head.grey) > 0.9))
    return Measured(made.disease.since.hours, *(float(np.median(adc[k])) if k.sum() > 30 else np.nan for k in kinds))


def adc_rows(seeds: int, *, workers: int) -> list[Row]:
    """Of infarcts from 3 h to 3 days old, before the ADC rises again, and of normal tissue."""
    with get_context("spawn").Pool(workers) as pool:
        every = pool.map(measured, range(seeds), chunksize=5)
    core = [m.core for m in every if 3 <= m.hours <= 72 and not np.isnan(m.core)]
    rows = []
    for name, values, low, high in (
        (f"ADC of the core, 3 h to 3 days, {len(core)} infarcts", core, 0.40, 0.62),
        ("ADC of white matter", [m.white for m in every if not np.isnan(m.white)], 0.70, 0.90),
        ("ADC of grey matter", [m.grey for m in every if not np.isnan(m.grey)], 0.70, 0.90),
    ):
        middle, told = quartiles(values, digits=2)
        rows.append(Row(f"{name}, median (quartiles), 10⁻³ mm²/s", told, f"{low:.1f}–{high:g}", low <= middle <= high,
                        "about"))  # fmt: skip
    return rows


def printed(title: str, rows: Sequence[Row]) -> None:
    """A table in Markdown."""
    print(f"\n**{title}**\n\n| | phantom | published | | source |\n|---|---|---|---|---|")
    for row in rows:
        mark = "in" if row.inside else "**out**"
        print(f"| {row.quantity} | {row.found} | {row.published} | {mark} | {row.source} |")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("seeds", 200), ("occlusions", 200), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    unit = partial(patient, mix=dict(ACUTE), hours_of=unit_hours)
    early = partial(patient, mix={"territorial": 1.0}, hours_of=early_hours)
    patients = cohort(range(asked.seeds), unit, workers=asked.workers)
    printed(f"Examinations of a stroke unit, {asked.seeds} seeds", lesion_rows(patients))
    occluded = [p for p in cohort(range(asked.occlusions), early, workers=asked.workers) if not p.is_open]
    printed(f"Clots within a day of onset, {asked.occlusions} seeds", clot_rows(occluded))
    printed("Where they lay", site_rows(occluded))
    printed("Those of the ICA and M1", occlusion_rows(occluded))
    printed(f"On the ADC map, {asked.seeds} seeds", adc_rows(asked.seeds, workers=asked.workers))


if __name__ == "__main__":
    main()
