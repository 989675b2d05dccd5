"""The page that shows how a phantom grows, from the head to the scanner's noise: one step for each stage."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from adumbra.core.ground_truth import GroundTruth, Space
from adumbra.core.types import Modality, Volume
from adumbra.phantom.pathology.perfusion import HYPOPERFUSED_S
from adumbra.phantom.patient import SimulatedPatient
from adumbra.phantom.vasculature.lumen import occupied
from adumbra.report.steps import Panel, Step, axial, projected, write_steps

_RED, _BLUE, _WHITE = (235, 90, 70), (90, 150, 255), (255, 255, 255)
_FAR_MM = 1.5  # of a voxel, for vessels to be seen through a head of glass


def write_explanation(
    patient: SimulatedPatient,
    truths: tuple[GroundTruth, ...],
    out: Path,
    *,
    name: str,
    seed: int,
    overwrite: bool = False,
) -> Path:
    """Writes ``<name>_growth.html``.

    Args:
        patient: The phantom, stage by stage.
        truths: What is known of it.
        out: Folder.
        name: Of the case.
        seed: Of the case.
        overwrite: Replace an earlier page.

    Raises:
        OutputRefused: The page is there already, or cannot be written.
    """
    about = f"Seed {seed}, drawn on a grid of {patient.plan.spacing_mm:g} mm, {patient.setup.tesla:g} T"
    return write_steps(
        out, f"{name}_growth.html", title=name, about=about, steps=list(_steps(patient, truths)), overwrite=overwrite
    )


def _steps(patient: SimulatedPatient, truths: tuple[GroundTruth, ...]) -> Iterator[Step]:
    z_mm = _height(patient)
    yield _anatomy(patient, z_mm)
    if patient.vessels is not None:
        yield _vessels(patient)
    if patient.disease.stroke is not None:
        yield _perfusion(patient, z_mm)
    yield _tissue(patient, z_mm)
    if patient.body.chi_ppm is not None:
        yield _magnetism(patient, _clot_height(patient, z_mm))
    yield _images(patient, truths, z_mm)


def _height(patient: SimulatedPatient) -> float:
    """Where most of the infarct is to be seen, or of the brain where there is none."""
    grid, dead = patient.head.grid, patient.disease.amount * patient.head.tissue
    weight = dead if dead.sum() * grid.voxel_ml > 0.05 else patient.head.tissue
    return float(grid.world_mm((0, 0, int(weight.sum(axis=(0, 1)).argmax())))[2])


def _clot_height(patient: SimulatedPatient, otherwise: float) -> float:
    happened = patient.disease.stroke
    return float(happened.clots[0].points_mm[:, 2].mean()) if happened is not None and happened.clots else otherwise


def _shown(
    patient: SimulatedPatient, volume: Volume, z_mm: float, top: float, caption: str, colours: str = "gray"
) -> Panel:
    return Panel(axial(volume, patient.head.grid, z_mm, window=(0.0, top), colours=colours), caption)


def _anatomy(patient: SimulatedPatient, z_mm: float) -> Step:
    h = patient.head
    parts = (("grey matter", h.grey), ("white matter", h.white), ("fluid", h.csf), ("scalp", h.soft), ("air", h.air))
    return Step(
        "A head",
        "x_MNI = A·x + u(x),  det(A + ∂u/∂x) > 0",
        "The MNI152 tissue maps, deformed without folding, aged, and put into a skull.",
        [_shown(patient, v, z_mm, 1.0, n.capitalize()) for n, v in parts],
        {
            "Age, 0 young to 1 very old": f"{patient.about_head['age']:.2f}",
            "Smallest Jacobian of the deformation": f"{h.folding:.2f}",
            "Brain": f"{float(h.tissue.sum()) * h.grid.voxel_ml:.0f} ml",
        },
    )


def _vessels(patient: SimulatedPatient) -> Step:
    assert patient.vessels is not None
    grid, happened = patient.head.grid, patient.disease.stroke
    widened = [occupied(t, grid, widened=2.0) for t in (patient.vessels.arteries, patient.vessels.veins)]
    layers = [(np.minimum(1.0, _FAR_MM * widened[0]), _RED)]
    clotted = patient.body.blood.clot if patient.body.blood is not None else None
    if clotted is not None and clotted.any():
        layers.append((np.minimum(1.0, 4 * clotted), _WHITE))
    views = {"from above": 2, "from the front": 1, "from the side": 0}
    panels = [Panel(projected(layers, grid, axis=a), f"Arteries {n}, the clot white") for n, a in views.items()]
    veins = [(np.minimum(1.0, _FAR_MM * widened[1]), _BLUE)]
    panels += [Panel(projected(veins, grid, axis=a), f"Veins {n}") for n, a in views.items() if a != 1]
    facts = {"Ends of arteries": f"{len(patient.vessels.arteries.ends):,}"}
    facts |= {f"Variant, {side}": v for side, v in patient.vessels.variants.items() if v}
    for n, clot in enumerate(happened.clots if happened is not None else ()):
        seen = "vessel sign" if clot.has_vessel_sign else "no vessel sign"
        facts[f"Clot {n + 1}"] = f"{clot.site}, {clot.length_mm:.1f} mm, {100 * clot.red:.0f} % red cells, {seen}"
    return Step(
        "Its vessels, and a clot",
        "r³ = Σ r³ of the children",
        "Named arteries and veins grow into the tissue that they supply and drain. A clot closes one, or has done so.",
        panels,
        facts,
    )


def _perfusion(patient: SimulatedPatient, z_mm: float) -> Step:
    happened, grid = patient.disease.stroke, patient.head.grid
    assert happened is not None
    assert patient.vessels is not None
    late = axial(happened.tmax_s, grid, z_mm, window=(0, 25), colours="inferno", outline=happened.hypoperfused)
    labels = np.where(patient.vessels.territories > 0, patient.vessels.territories, np.nan).astype(np.float32)
    large = axial(labels, grid, z_mm, window=(0, 20), colours="tab20", smooth=False)
    core_ml = float((patient.disease.amount * patient.head.tissue).sum()) * grid.voxel_ml
    late_ml = float(happened.hypoperfused.sum()) * grid.voxel_ml
    return Step(
        "Blood that comes late",
        f"hypoperfused: Tmax > {HYPOPERFUSED_S:g} s",
        "Behind the clot blood comes round through collaterals, or not at all; what starves dies from the middle on.",
        [
            Panel(large, "Arterial territories"),
            Panel(late, "Tmax, 0 to 25 s; hypoperfused tissue outlined"),
            _shown(patient, patient.disease.amount, z_mm, 1.0, "What has died"),
        ],
        {
            "Collaterals, 0 none to 1 full": f"{happened.collaterals.grade:.2f}",
            "Closed for": f"{happened.hours_closed:.1f} h{', then open' if happened.is_open else ''}",
            "Core": f"{core_ml:.1f} ml",
            "Hypoperfused at the scan": f"{late_ml:.1f} ml",
        },
    )


def _tissue(patient: SimulatedPatient, z_mm: float) -> Step:
    d, h = patient.disease, patient.head
    return Step(
        "What time has patient of it",
        "S(b) = ρ · exp(−TE/T2) · exp(−b·ADC)",
        "The ADC falls within minutes and is normal in a week, while T2 rises; old damage and age lie beside it.",
        [
            _shown(patient, d.amount * h.tissue, z_mm, 1.0, "Infarct"),
            _shown(patient, np.maximum(d.cavity, d.gliosis) * h.tissue, z_mm, 1.0, "Old damage"),
            _shown(patient, h.hyperintense, z_mm, 1.0, "Hyperintensities of age"),
        ],
        {
            "Pattern": d.pattern,
            "Since onset": f"{d.since.hours:.1f} h",
            "ADC of the infarct, of normal": f"{d.since.adc_factor:.2f}",
            "T2 of the infarct, of normal": f"{d.since.t2_factor:.2f}",
        },
    )


def _magnetism(patient: SimulatedPatient, z_mm: float) -> Step:
    chi, field = patient.body.chi_ppm, patient.subject.field_ppm
    assert chi is not None
    assert field is not None
    grid = patient.head.grid
    return Step(
        "Its magnetism",
        "ΔB/B0 = (1/3 − N) ∗ χ,   φ = γ·ΔB·TE",
        "Deoxygenated blood, iron, bone and air bend the field; echo-planar images are warped by it, phase shows it.",
        [
            Panel(axial(chi, grid, z_mm, window=(-0.3, 0.6)), "Susceptibility, −0.3 to 0.6 ppm"),
            Panel(axial(field, grid, z_mm, window=(-0.5, 0.5)), "Field after the shim, ±0.5 ppm"),
        ],
    )


_CAPTIONS: Mapping[Modality, str] = {
    "dwi": "DWI, with a rater's outline", "adc": "ADC, 0 to 2·10⁻³ mm²/s", "b0": "b0", "flair": "FLAIR",
    "swi": "Gradient echo, with the clot's lumen", "phase": "Its phase, ±π", "tof": "TOF, with the clot's lumen",
}  # fmt: skip


def _images(patient: SimulatedPatient, truths: tuple[GroundTruth, ...], z_mm: float) -> Step:
    masks = {(t.name, t.space): t.scan.data for t in truths if t.kind == "mask"}
    outlines: Mapping[Modality, tuple[str, Space]] = {
        "dwi": ("lesion", "dwi"),
        "swi": ("thrombus", "swi"),
        "tof": ("thrombus", "tof"),
    }
    panels = []
    for acquired in patient.acquired.values():
        for modality, scan in acquired.scans.items():
            if modality not in patient.setup.sequences:
                continue
            fixed = {"adc": (0.0, 2.0), "phase": (-np.pi, np.pi)}
            window = fixed.get(modality, (0.0, float(np.quantile(scan.data, 0.99)) or 1.0))
            lesion_shape = masks.get(outlines[modality]) if modality in outlines else None
            at_mm = _clot_height(patient, z_mm) if modality in ("swi", "phase", "tof") else z_mm
            panels.append(
                Panel(axial(scan.data, scan.grid, at_mm, window=window, outline=lesion_shape), _CAPTIONS[modality])
            )
    return Step(
        "What the scanner makes of it",
        "M = |S + n₁ + i·n₂|",
        "Each sequence on its own slices, after movement, warp, coils and noise.",
        panels,
        {n: f"{s.in_plane_mm:g} × {s.in_plane_mm:g} × {s.thickness_mm:g} mm" for n, s in patient.setup.stacks.items()},
    )
