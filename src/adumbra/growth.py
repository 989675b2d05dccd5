"""The page that shows how a phantom grows, from the head to the scanner's noise: one step for each stage."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from adumbra.phantom.lumen import occupied
from adumbra.phantom.perfusion import HYPOPERFUSED_S
from adumbra.phantom.stages import Drawn
from adumbra.report.steps import Panel, Step, axial, projected, write_steps
from adumbra.shapes import Modality, Volume
from adumbra.truth import Space, Truth

_RED, _BLUE, _WHITE = (235, 90, 70), (90, 150, 255), (255, 255, 255)
_FAR_MM = 1.5  # of a voxel, for vessels to be seen through a head of glass


def write_growth(
    made: Drawn, truths: tuple[Truth, ...], out: Path, *, name: str, seed: int, overwrite: bool = False
) -> Path:
    """Writes ``<name>_growth.html``.

    Args:
        made: The phantom, stage by stage.
        truths: What is known of it.
        out: Folder.
        name: Of the case.
        seed: Of the case.
        overwrite: Replace an earlier page.

    Raises:
        OutputRefused: The page is there already, or cannot be written.
    """
    about = f"Seed {seed}, drawn on a grid of {made.plan.spacing_mm:g} mm, {made.setup.tesla:g} T"
    return write_steps(
        out, f"{name}_growth.html", title=name, about=about, steps=list(_steps(made, truths)), overwrite=overwrite
    )


def _steps(made: Drawn, truths: tuple[Truth, ...]) -> Iterator[Step]:
    z_mm = _height(made)
    yield _anatomy(made, z_mm)
    if made.vessels is not None:
        yield _vessels(made)
    if made.disease.stroke is not None:
        yield _perfusion(made, z_mm)
    yield _tissue(made, z_mm)
    if made.body.chi_ppm is not None:
        yield _magnetism(made, _clot_height(made, z_mm))
    yield _images(made, truths, z_mm)


def _height(made: Drawn) -> float:
    """Where most of the infarct is to be seen, or of the brain where there is none."""
    grid, dead = made.head.grid, made.disease.amount * made.head.tissue
    weight = dead if dead.sum() * grid.voxel_ml > 0.05 else made.head.tissue
    return float(grid.world_mm((0, 0, int(weight.sum(axis=(0, 1)).argmax())))[2])


def _clot_height(made: Drawn, otherwise: float) -> float:
    happened = made.disease.stroke
    return float(happened.clots[0].points_mm[:, 2].mean()) if happened is not None and happened.clots else otherwise


def _shown(made: Drawn, volume: Volume, z_mm: float, top: float, caption: str, colours: str = "gray") -> Panel:
    return Panel(axial(volume, made.head.grid, z_mm, window=(0.0, top), colours=colours), caption)


def _anatomy(made: Drawn, z_mm: float) -> Step:
    h = made.head
    parts = (("grey matter", h.grey), ("white matter", h.white), ("fluid", h.csf), ("scalp", h.soft), ("air", h.air))
    return Step(
        "A head",
        "x_MNI = A·x + u(x),  det(A + ∂u/∂x) > 0",
        "The MNI152 tissue maps, deformed without folding, aged, and put into a skull.",
        [_shown(made, v, z_mm, 1.0, n.capitalize()) for n, v in parts],
        {
            "Age, 0 young to 1 very old": f"{made.about_head['age']:.2f}",
            "Smallest Jacobian of the deformation": f"{h.folding:.2f}",
            "Brain": f"{float(h.tissue.sum()) * h.grid.voxel_ml:.0f} ml",
        },
    )


def _vessels(made: Drawn) -> Step:
    assert made.vessels is not None
    grid, happened = made.head.grid, made.disease.stroke
    widened = [occupied(t, grid, widened=2.0) for t in (made.vessels.arteries, made.vessels.veins)]
    layers = [(np.minimum(1.0, _FAR_MM * widened[0]), _RED)]
    clotted = made.body.blood.clot if made.body.blood is not None else None
    if clotted is not None and clotted.any():
        layers.append((np.minimum(1.0, 4 * clotted), _WHITE))
    views = {"from above": 2, "from the front": 1, "from the side": 0}
    panels = [Panel(projected(layers, grid, axis=a), f"Arteries {n}, the clot white") for n, a in views.items()]
    veins = [(np.minimum(1.0, _FAR_MM * widened[1]), _BLUE)]
    panels += [Panel(projected(veins, grid, axis=a), f"Veins {n}") for n, a in views.items() if a != 1]
    facts = {"Ends of arteries": f"{len(made.vessels.arteries.ends):,}"}
    facts |= {f"Variant, {side}": v for side, v in made.vessels.variants.items() if v}
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


def _perfusion(made: Drawn, z_mm: float) -> Step:
    happened, grid = made.disease.stroke, made.head.grid
    assert happened is not None
    assert made.vessels is not None
    late = axial(happened.tmax_s, grid, z_mm, window=(0, 25), colours="inferno", outline=happened.hypoperfused)
    labels = np.where(made.vessels.territories > 0, made.vessels.territories, np.nan).astype(np.float32)
    large = axial(labels, grid, z_mm, window=(0, 20), colours="tab20", smooth=False)
    core_ml = float((made.disease.amount * made.head.tissue).sum()) * grid.voxel_ml
    late_ml = float(happened.hypoperfused.sum()) * grid.voxel_ml
    return Step(
        "Blood that comes late",
        f"hypoperfused: Tmax > {HYPOPERFUSED_S:g} s",
        "Behind the clot blood comes round through collaterals, or not at all; what starves dies from the middle on.",
        [
            Panel(large, "Arterial territories"),
            Panel(late, "Tmax, 0 to 25 s; hypoperfused tissue outlined"),
            _shown(made, made.disease.amount, z_mm, 1.0, "What has died"),
        ],
        {
            "Collaterals, 0 none to 1 full": f"{happened.collaterals.grade:.2f}",
            "Closed for": f"{happened.hours_closed:.1f} h{', then open' if happened.is_open else ''}",
            "Core": f"{core_ml:.1f} ml",
            "Hypoperfused at the scan": f"{late_ml:.1f} ml",
        },
    )


def _tissue(made: Drawn, z_mm: float) -> Step:
    d, h = made.disease, made.head
    return Step(
        "What time has made of it",
        "S(b) = ρ · exp(−TE/T2) · exp(−b·ADC)",
        "The ADC falls within minutes and is normal in a week, while T2 rises; old damage and age lie beside it.",
        [
            _shown(made, d.amount * h.tissue, z_mm, 1.0, "Infarct"),
            _shown(made, np.maximum(d.cavity, d.gliosis) * h.tissue, z_mm, 1.0, "Old damage"),
            _shown(made, h.hyperintense, z_mm, 1.0, "Hyperintensities of age"),
        ],
        {
            "Pattern": d.pattern,
            "Since onset": f"{d.since.hours:.1f} h",
            "ADC of the infarct, of normal": f"{d.since.adc_factor:.2f}",
            "T2 of the infarct, of normal": f"{d.since.t2_factor:.2f}",
        },
    )


def _magnetism(made: Drawn, z_mm: float) -> Step:
    chi, field = made.body.chi_ppm, made.subject.field_ppm
    assert chi is not None
    assert field is not None
    grid = made.head.grid
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


def _images(made: Drawn, truths: tuple[Truth, ...], z_mm: float) -> Step:
    masks = {(t.name, t.space): t.scan.data for t in truths if t.kind == "mask"}
    outlines: Mapping[Modality, tuple[str, Space]] = {
        "dwi": ("lesion", "dwi"),
        "swi": ("thrombus", "swi"),
        "tof": ("thrombus", "tof"),
    }
    panels = []
    for acquired in made.acquired.values():
        for modality, scan in acquired.scans.items():
            if modality not in made.setup.sequences:
                continue
            fixed = {"adc": (0.0, 2.0), "phase": (-np.pi, np.pi)}
            window = fixed.get(modality, (0.0, float(np.quantile(scan.data, 0.99)) or 1.0))
            outline = masks.get(outlines[modality]) if modality in outlines else None
            at_mm = _clot_height(made, z_mm) if modality in ("swi", "phase", "tof") else z_mm
            panels.append(
                Panel(axial(scan.data, scan.grid, at_mm, window=window, outline=outline), _CAPTIONS[modality])
            )
    return Step(
        "What the scanner makes of it",
        "M = |S + n₁ + i·n₂|",
        "Each sequence on its own slices, after movement, warp, coils and noise.",
        panels,
        {n: f"{s.in_plane_mm:g} × {s.in_plane_mm:g} × {s.thickness_mm:g} mm" for n, s in made.setup.stacks.items()},
    )
