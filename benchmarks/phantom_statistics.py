"""What befalls phantoms, beside what is published of patients: clots, infarcts, hypoperfusion, what TOF and SWI show.

Run: ``python benchmarks/phantom_statistics.py [--seeds 200] [--occlusions 200] [--workers 2]``. It prints the tables of
``docs/concepts/phantom-statistics.md``. Two cohorts: one mixed as a stroke unit's examinations from the first hour to
two weeks; and, since trials look at those, arteries that are closed at an examination within a day. No images are made:
volumes are those of the phantom's truth, and what is visible follows from ``adumbra.phantom.visibility``.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from adumbra.phantom.anatomy import head
from adumbra.phantom.arteries import MEASURED_SHARES
from adumbra.phantom.clot import SITES
from adumbra.phantom.inflow import TimeOfFlight
from adumbra.phantom.lesion import Pattern, stage
from adumbra.phantom.presets import ACUTE
from adumbra.phantom.streams import stream
from adumbra.phantom.stroke import Vasculature, stroke, vasculature
from adumbra.phantom.territories import LABELS
from adumbra.phantom.visibility import seen_on_swi, seen_on_tof

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


def percent(hits: Iterable[bool]) -> tuple[float, str]:
    """A share, and as text with how many it is of."""
    values = list(hits)
    share = float(np.mean(values)) if values else float("nan")
    return share, f"{100 * share:.0f} % of {len(values)}"


def quartiles(values: Iterable[float], *, digits: int = 0) -> tuple[float, str]:
    """The median, and as text with the quartiles."""
    low, middle, high = np.percentile(list(values), [25, 50, 75])
    return float(middle), f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def clot_rows(patients: Sequence[Patient]) -> list[Row]:
    """Of the clots at the scan; what images show is asked of each patient's first: behind it no flow is missed."""
    cases = [p.clots for p in patients if p.clots]
    every = [c for clots in cases for c in clots]
    length, sign, several = (
        quartiles((c.length_mm for c in every), digits=1),
        percent(c.sign for c in every),
        percent(len(clots) > 1 for clots in cases),
    )
    rows = [
        Row("clot length, median (quartiles), mm", length[1], "9–12; MCA 8.2 ± 4.6", 9 <= length[0] <= 12, "[1]"),
        Row("susceptibility vessel sign", sign[1], "78–87 %", 0.78 <= sign[0] <= 0.87, "[2]"),
        Row("several clots", several[1], "7.4 % of 324", 0.02 <= several[0] <= 0.13, "[3]"),
    ]
    for group, tof, swi in (("central", (0.90, 1.0, "96 %"), (0.90, 1.0, "97 %")),
                            ("distal", (0.22, 0.56, "39 %"), (0.70, 0.95, "84 %"))):  # fmt: skip
        for image, (low, high, published) in (("tof", tof), ("swi", swi)):
            share = percent(getattr(c[0], image) for c in cases if c[0].group == group)
            inside = low <= share[0] <= high
            rows.append(Row(f"{group} clots seen on {image.upper()}", share[1], published, inside, "[4]"))
    return rows


def site_rows(patients: Sequence[Patient]) -> list[Row]:
    """Where the first clot of each patient lay."""
    sites, rows = [p.clots[0].site for p in patients if p.clots], []
    for site, chance in SITES.items():
        share, text = percent(s == site for s in sites)
        spread = 2.5 * np.sqrt(chance * (1 - chance) / len(sites))
        rows.append(Row(f"site {site}", text, f"{100 * chance:.0f} %", abs(share - chance) <= spread, "about"))
    middle = [s for s in sites if s.startswith("M")]
    share, text = percent(s == "M1" for s in middle)
    rows.append(Row("M1 of the clots in the middle cerebral artery", text, "57.6 %", 0.45 <= share <= 0.70, "[5]"))
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
    small, fast, slow = percent(core <= 70), percent(core[hours < 6] > 70), percent(core[hours >= 6] <= 30)
    intensity = quartiles(later / np.maximum(late, 1e-3), digits=2)
    target = percent((core < 70) & (late - core >= 15) & (late >= 1.8 * core))
    ratio = quartiles(late / np.maximum(core, 0.1), digits=1)
    return [
        Row("core, median (quartiles), ml", median[1], "17; 10", 8 <= median[0] <= 25, "[7], [8]"),
        Row("core of 70 ml or less", small[1], "72 % of 185", 0.65 <= small[0] <= 0.79, "[7]"),
        Row("core above 70 ml before 6 h", fast[1], "25 % (17–37)", 0.17 <= fast[0] <= 0.37, "[7]"),
        Row("core of 30 ml or less from 6 to 24 h", slow[1], "55 % (46–64)", 0.46 <= slow[0] <= 0.64, "[7]"),
        Row("core over hours since onset, ml/h", rate[1], "2.2 (0–8.7)", 0 <= rate[0] <= 8.7, "[9]"),
        Row("Tmax > 6 s, median (quartiles), ml", volume[1], "115 (75–150)", 75 <= volume[0] <= 150, "about"),
        Row("Tmax > 10 s of it", intensity[1], "0.4 to 0.7", 0.4 <= intensity[0] <= 0.73, "[10], [11]"),
        Row("Tmax > 6 s over core", ratio[1], "above 1.8 in most", ratio[0] >= 1.8, "about"),
        Row("core < 70 ml, mismatch ≥ 15 ml and ≥ 1.8", target[1], "about 80 %", 0.6 <= target[0] <= 0.9, "[12]"),
    ]


IMAGE_ROWS: tuple[Callable[[int], list[Row]], ...] = ()
"""Rows that need images, each from a number of seeds: the ADC of core and of normal tissue."""


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
    for rows in IMAGE_ROWS:
        printed("Images", rows(asked.seeds))


if __name__ == "__main__":
    main()
