"""The page that explains the simulation of a phantom step by step, from the anatomy to the acquired images."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from adumbra.core.ground_truth import GroundTruth, Space
from adumbra.core.types import Mask, Modality, Volume
from adumbra.phantom.pathology.perfusion import HYPOPERFUSED_S
from adumbra.phantom.patient import SimulatedPatient
from adumbra.phantom.scanner.examination import Acquisition
from adumbra.phantom.vasculature.lumen import vessel_fraction
from adumbra.report.steps import Panel, Step, axial, projected, write_steps

_RED, _BLUE, _WHITE = (235, 90, 70), (90, 150, 255), (255, 255, 255)
_VESSEL_GAIN = 1.5  # factor on the vessel fraction, so that thin vessels are visible in a projection
_CLOT_GAIN = 4.0


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
        patient: The simulated patient.
        truths: The ground truth of the phantom.
        out: Folder of the page.
        name: Name of the case.
        seed: Seed of the case.
        overwrite: Replace an earlier page.

    Returns:
        The path of the page.

    Raises:
        OutputRefused: The page exists already, or cannot be written.
    """
    subtitle = f"Seed {seed}, simulated on a grid of {patient.preset.spacing_mm:g} mm, {patient.setup.tesla:g} T"
    steps = list(_steps(patient, truths))
    return write_steps(out, f"{name}_growth.html", title=name, subtitle=subtitle, steps=steps, overwrite=overwrite)


def _steps(patient: SimulatedPatient, truths: tuple[GroundTruth, ...]) -> Iterator[Step]:
    """The steps of the page, without those that the preset lacks."""
    z_mm = _lesion_height(patient)
    yield _anatomy_step(patient, z_mm)
    if patient.vessels is not None:
        yield _vessel_step(patient)
    if patient.disease.stroke is not None:
        yield _perfusion_step(patient, z_mm)
    yield _tissue_step(patient, z_mm)
    if patient.body.chi_ppm is not None:
        yield _field_step(patient, _clot_height(patient, z_mm))
    yield _image_step(patient, truths, z_mm)


def _lesion_height(patient: SimulatedPatient) -> float:
    """The height in mm with the largest area of infarct, or of brain where there is no infarct."""
    grid, infarct = patient.head.grid, patient.disease.infarct * patient.head.tissue
    weight = infarct if infarct.sum() * grid.voxel_ml > 0.05 else patient.head.tissue
    return float(grid.world_mm((0, 0, int(weight.sum(axis=(0, 1)).argmax())))[2])


def _clot_height(patient: SimulatedPatient, default_mm: float) -> float:
    """The height of the first clot in mm; a default without a clot."""
    stroke = patient.disease.stroke
    return float(stroke.clots[0].points_mm[:, 2].mean()) if stroke is not None and stroke.clots else default_mm


def _head_panel(
    patient: SimulatedPatient, volume: Volume, z_mm: float, top: float, caption: str, colours: str = "gray"
) -> Panel:
    """An axial slice of a volume on the grid of the head, from 0 to ``top``."""
    return Panel(axial(volume, patient.head.grid, z_mm, window=(0.0, top), colours=colours), caption)


def _anatomy_step(patient: SimulatedPatient, z_mm: float) -> Step:
    h = patient.head
    parts = (("grey matter", h.grey), ("white matter", h.white), ("fluid", h.csf), ("scalp", h.soft), ("air", h.air))
    return Step(
        "Anatomy",
        "x_MNI = A·x + u(x),  det(A + ∂u/∂x) > 0",
        "The MNI152 tissue maps are deformed without folding, aged, and enclosed in a skull.",
        [_head_panel(patient, v, z_mm, 1.0, n.capitalize()) for n, v in parts],
        {
            "Age, 0 young to 1 very old": f"{patient.head_parameters['age']:.2f}",
            "Smallest Jacobian determinant of the deformation": f"{h.folding:.2f}",
            "Brain volume": f"{float(h.tissue.sum()) * h.grid.voxel_ml:.0f} ml",
        },
    )


def _vessel_step(patient: SimulatedPatient) -> Step:
    assert patient.vessels is not None
    facts = {"Arterial ends": f"{len(patient.vessels.arteries.ends):,}"}
    facts |= {f"Variant, {side}": v for side, v in patient.vessels.variants.items() if v}
    stroke = patient.disease.stroke
    for n, clot in enumerate(stroke.clots if stroke is not None else ()):
        sign = "vessel sign" if clot.has_vessel_sign else "no vessel sign"
        facts[f"Clot {n + 1}"] = f"{clot.site}, {clot.length_mm:.1f} mm, {100 * clot.red:.0f} % red cells, {sign}"
    return Step(
        "Vessels and clot",
        "r³ = Σ r³ of the children",
        "Branches of the named arteries and veins grow into the tissue that they supply and drain. "
        "A clot occludes an artery at the scan, or has done so before.",
        _vessel_panels(patient),
        facts,
    )


def _vessel_panels(patient: SimulatedPatient) -> list[Panel]:
    """Projections of the arteries with the clot, and of the veins."""
    assert patient.vessels is not None
    grid = patient.head.grid
    arteries, veins = (vessel_fraction(t, grid, widened=2.0) for t in (patient.vessels.arteries, patient.vessels.veins))
    layers = [(np.minimum(1.0, _VESSEL_GAIN * arteries), _RED)]
    clot = patient.body.blood.clot if patient.body.blood is not None else None
    if clot is not None and clot.any():
        layers.append((np.minimum(1.0, _CLOT_GAIN * clot), _WHITE))
    views = {"from above": 2, "from the front": 1, "from the side": 0}
    panels = [Panel(projected(layers, grid, axis=a), f"Arteries {n}, clot in white") for n, a in views.items()]
    venous = [(np.minimum(1.0, _VESSEL_GAIN * veins), _BLUE)]
    return panels + [Panel(projected(venous, grid, axis=a), f"Veins {n}") for n, a in views.items() if a != 1]


def _perfusion_step(patient: SimulatedPatient, z_mm: float) -> Step:
    stroke, grid = patient.disease.stroke, patient.head.grid
    assert stroke is not None
    assert patient.vessels is not None
    tmax = axial(stroke.tmax_s, grid, z_mm, window=(0, 25), colours="inferno", mask=stroke.hypoperfused)
    labels = np.where(patient.vessels.territories > 0, patient.vessels.territories, np.nan).astype(np.float32)
    territories = axial(labels, grid, z_mm, window=(0, 20), colours="tab20", smooth=False)
    core_ml = float((patient.disease.infarct * patient.head.tissue).sum()) * grid.voxel_ml
    hypoperfused_ml = float(stroke.hypoperfused.sum()) * grid.voxel_ml
    return Step(
        "Perfusion and infarct",
        f"hypoperfused: Tmax > {HYPOPERFUSED_S:g} s",
        "Behind the clot only collaterals supply blood, with a delay. "
        "The infarct grows from the centre of this tissue.",
        [
            Panel(territories, "Arterial territories"),
            Panel(tmax, "Tmax, 0 to 25 s, with the contour of hypoperfused tissue"),
            _head_panel(patient, patient.disease.infarct, z_mm, 1.0, "Infarcted fraction"),
        ],
        {
            "Collateral grade, 0 none to 1 full": f"{stroke.collaterals.grade:.2f}",
            "Occlusion": f"{stroke.hours_closed:.1f} h{', then open' if stroke.is_open else ''}",
            "Core volume": f"{core_ml:.1f} ml",
            "Hypoperfused volume at the scan": f"{hypoperfused_ml:.1f} ml",
        },
    )


def _tissue_step(patient: SimulatedPatient, z_mm: float) -> Step:
    d, h = patient.disease, patient.head
    return Step(
        "Age of the infarct",
        "S(b) = ρ · exp(−TE/T2) · exp(−b·ADC)",
        "The ADC falls within minutes and is normal again after about a week, while T2 rises. "
        "Older damage and white-matter hyperintensities are present beside the infarct.",
        [
            _head_panel(patient, d.infarct * h.tissue, z_mm, 1.0, "Infarct"),
            _head_panel(patient, np.maximum(d.cavity, d.gliosis) * h.tissue, z_mm, 1.0, "Older damage"),
            _head_panel(patient, h.hyperintense, z_mm, 1.0, "White-matter hyperintensities"),
        ],
        {
            "Infarct pattern": d.pattern,
            "Time since onset": f"{d.stage.hours:.1f} h",
            "ADC of the infarct, relative to normal": f"{d.stage.adc_factor:.2f}",
            "T2 of the infarct, relative to normal": f"{d.stage.t2_factor:.2f}",
        },
    )


def _field_step(patient: SimulatedPatient, z_mm: float) -> Step:
    chi, field = patient.body.chi_ppm, patient.examined.field_ppm
    assert chi is not None
    assert field is not None
    grid = patient.head.grid
    return Step(
        "Magnetic susceptibility",
        "ΔB/B0 = (1/3 − N) ∗ χ,   φ = γ·ΔB·TE",
        "Deoxygenated blood, iron, bone and air change the field. "
        "The field distorts echo-planar images and gives the phase.",
        [
            Panel(axial(chi, grid, z_mm, window=(-0.3, 0.6)), "Susceptibility, −0.3 to 0.6 ppm"),
            Panel(axial(field, grid, z_mm, window=(-0.5, 0.5)), "Field after the shim, ±0.5 ppm"),
        ],
    )


_CAPTIONS: Mapping[Modality, str] = {
    "dwi": "DWI, with the contour of the lesion mask", "adc": "ADC, 0 to 2·10⁻³ mm²/s", "b0": "b0", "flair": "FLAIR",
    "swi": "SWI magnitude, with the contour of the clot", "phase": "SWI phase, ±π",
    "tof": "TOF, with the contour of the clot",
}  # fmt: skip
_CONTOURS: Mapping[Modality, tuple[str, Space]] = {
    "dwi": ("lesion", "dwi"),
    "swi": ("thrombus", "swi"),
    "tof": ("thrombus", "tof"),
}
_WINDOWS: Mapping[Modality, tuple[float, float]] = {"adc": (0.0, 2.0), "phase": (-np.pi, np.pi)}


def _image_step(patient: SimulatedPatient, truths: tuple[GroundTruth, ...], z_mm: float) -> Step:
    masks = {(t.name, t.space): t.scan.data for t in truths if t.kind == "mask"}
    panels = [p for acquired in patient.acquisitions.values() for p in _image_panels(patient, acquired, masks, z_mm)]
    stacks = patient.setup.stacks
    return Step(
        "Acquired images",
        "M = |S + n₁ + i·n₂|",
        "Each sequence has its own slices, movement, distortion, coil sensitivity and noise.",
        panels,
        {n: f"{s.in_plane_mm:g} × {s.in_plane_mm:g} × {s.thickness_mm:g} mm" for n, s in stacks.items()},
    )


def _image_panels(
    patient: SimulatedPatient, acquired: Acquisition, masks: Mapping[tuple[str, Space], Mask], z_mm: float
) -> Iterator[Panel]:
    """The panels of one acquisition, without modalities that the examination lacks."""
    for modality, scan in acquired.scans.items():
        if modality not in patient.setup.sequences:
            continue
        window = _WINDOWS.get(modality, (0.0, float(np.quantile(scan.data, 0.99)) or 1.0))
        mask = masks.get(_CONTOURS[modality]) if modality in _CONTOURS else None
        at_mm = _clot_height(patient, z_mm) if modality in ("swi", "phase", "tof") else z_mm
        yield Panel(axial(scan.data, scan.grid, at_mm, window=window, mask=mask), _CAPTIONS[modality])
