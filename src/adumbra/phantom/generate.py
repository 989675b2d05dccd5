"""One seed, one stroke: a head, an infarct, the signals of its tissues, and what a scanner makes of them.

The order is that of nature: anatomy, disease, physics, scanner. Everything is drawn from
``numpy.random.default_rng(seed)`` in that order, so that the same seed gives the same bytes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import ndimage

from adumbra.case import Case, Conversion, Scan, scan_from
from adumbra.phantom import scanner, signal
from adumbra.phantom.anatomy import Head, head, tracts
from adumbra.phantom.lesion import Outline, Pattern, Stage, drawn_pattern, infarcted, stage
from adumbra.phantom.random_fields import smooth_field
from adumbra.phantom.signal import Protocol, Tissue
from adumbra.shapes import Mask, Modality, Volume
from adumbra.space.components import labelled
from adumbra.space.grid import Grid


@dataclass(frozen=True, eq=False)
class Phantom:
    """A drawn stroke.

    Attributes:
        case: Scans ``dwi``, ``adc``, ``b0`` and ``flair``, and the mask ``lesion`` on the DWI's grid.
        fraction: Infarcted share of each DWI voxel at the scanner's resolution, in [0, 1]: the truth behind the mask.
        parameters: Everything that was drawn, JSON-serialisable.
    """

    case: Case
    fraction: Scan
    parameters: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Body:
    """Fractions of each tissue, the constants of each, and what shortens T2 beside them (1/ms)."""

    fractions: dict[str, Volume]
    tissues: dict[str, Tissue]
    extra_rate: Volume


def _old_damage(rng: np.random.Generator, h: Head) -> tuple[Volume, Volume]:
    """Cavities of old infarcts and T2 shine-through: bright on T2, some on DWI, with raised ADC; not the target."""
    cavity, gliosis = np.zeros(h.grid.shape, np.float32), np.zeros(h.grid.shape, np.float32)
    if rng.random() < 0.25:
        cavity = infarcted(rng, h, pattern="territorial" if rng.random() < 0.4 else "lacune")
        gliosis = np.clip(ndimage.gaussian_filter(cavity, 1.5) * 2 - cavity, 0, 1)
    if rng.random() < 0.45:
        kinds: tuple[Pattern, ...] = ("territorial", "shower", "lacune")
        gliosis = np.maximum(gliosis, infarcted(rng, h, pattern=kinds[rng.integers(3)]))
    return cavity, gliosis


def _visible_stage(rng: np.random.Generator, protocol: Protocol) -> Stage:
    """A stage in which the infarct is brighter than its surroundings on DWI: what nobody can see nobody outlines."""
    while True:
        since = stage(rng)
        if signal.diffusion_contrast(protocol, adc=since.adc_factor, t2=since.t2_factor) > 1.35:
            return since


def _iron_and_bleeds(rng: np.random.Generator, h: Head) -> Volume:
    """Extra transverse relaxation rate in 1/ms: iron of the pallidum, and a few microbleeds."""
    pallidum = ((np.abs(h.mni_mm[0]) - 20) / 7) ** 2 + ((h.mni_mm[1] + 3) / 9) ** 2 + ((h.mni_mm[2] - 1) / 6) ** 2
    rate = np.float32(rng.uniform(0, 0.008)) * np.exp(-(pallidum**2))
    spots = np.argwhere(h.tissue > 0.5)
    for _ in range(rng.poisson(0.7)):
        i, j, k = spots[rng.integers(len(spots))]
        rate[i - 1 : i + 1, j - 1 : j + 1, k - 1 : k + 1] += np.float32(rng.uniform(0.01, 0.05))
    return rate


def _body(rng: np.random.Generator, h: Head, sick: Volume, since: Stage) -> Body:
    """Tissues with their disease: normal, infarcted, gliotic; cavities are fluid."""
    tissues = signal.drawn_tissues(rng)
    cavity, gliosis = _old_damage(rng, h)
    scar = np.maximum(h.hyperintense, gliosis) * (1 - sick)
    scarred = {"adc": rng.uniform(1.18, 1.6), "t2": rng.uniform(1.25, 2.0), "t1": rng.uniform(1.1, 1.4)}
    acute = {"adc": since.adc_factor, "t2": since.t2_factor, "t1": since.t1_factor}
    alive = (1 - cavity) * (1 - sick) * (1 - scar)
    fluid = h.csf + cavity * h.tissue * (1 - sick)
    fractions: dict[str, Volume] = {"csf": fluid, "vitreous": h.vitreous, "soft": h.soft}
    for name, normal in (("grey", h.grey), ("white", h.white)):
        fractions[name] = normal * alive
        fractions[f"{name} infarcted"] = normal * sick
        fractions[f"{name} scarred"] = normal * (1 - cavity) * (1 - sick) * scar
        tissues[f"{name} infarcted"] = signal.altered(tissues[name], **acute)
        tissues[f"{name} scarred"] = signal.altered(tissues[name], **scarred)
    return Body(fractions, tissues, _iron_and_bleeds(rng, h))


def _summed(body: Body, amplitudes: Mapping[str, float], te_ms: float) -> Volume:
    """Σ fraction · amplitude, with the extra relaxation; the sum of signals that partial volume is."""
    total = np.zeros_like(body.extra_rate)
    for name, fraction in body.fractions.items():
        total += np.float32(amplitudes[name]) * fraction
    return total * np.exp(np.float32(-te_ms) * body.extra_rate)


def _signals(rng: np.random.Generator, h: Head, body: Body, p: Protocol) -> dict[str, Volume]:
    """Noise-free b0, DWI and FLAIR at 2 mm, with the gradual variation of real tissue."""
    tissues, spacing, shape = body.tissues, h.grid.spacing_mm, h.grid.shape
    b0 = _summed(body, {n: signal.spin_echo(t, te_ms=p.te_dwi_ms, b_value=0) for n, t in tissues.items()}, p.te_dwi_ms)
    dwi = _summed(
        body, {n: signal.spin_echo(t, te_ms=p.te_dwi_ms, b_value=p.b_value) for n, t in tissues.items()}, p.te_dwi_ms
    )
    times = {"te_ms": p.te_flair_ms, "ti_ms": p.ti_flair_ms, "tr_ms": p.tr_flair_ms}
    flair = _summed(body, {n: signal.inversion_recovery(t, **times) for n, t in tissues.items()}, p.te_flair_ms)
    weight = np.float32(rng.uniform(0.02, 0.09)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=14)
    weight += np.float32(rng.uniform(0.0, 0.14)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=22) * h.grey
    water = np.float32(rng.uniform(0.01, 0.06)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=12)
    water += np.float32(rng.uniform(0.0, 0.10)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=8) * h.grey
    water += np.float32(rng.uniform(0.0, 0.09)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=4) * h.white
    # Iron: gradients inside the voxel lower the measured ADC, while the short T2 keeps DWI from being bright.
    water -= np.float32(rng.uniform(0, 50)) * body.extra_rate
    cerebellum = np.clip((-14 - h.mni_mm[2]) / 8, 0, 1) * np.clip((-36 - h.mni_mm[1]) / 8, 0, 1)
    weight += np.float32(rng.uniform(0, 0.3)) * cerebellum  # mostly cortex: brighter than the cerebrum, ADC alike
    dense = tracts(rng, h)
    weight += np.float32(rng.uniform(0, 0.15)) * dense
    water -= np.float32(rng.uniform(0, 0.28)) * dense
    texture = np.exp(weight)
    return {"b0": b0 * texture, "dwi": dwi * texture * np.exp(-water * p.b_value / 1000), "flair": flair * texture}


def _head_mask(rng: np.random.Generator, h: Head) -> Volume:
    """What a skull-stripping tool leaves: the brain to some millimetres, ragged; or everything."""
    if rng.random() < 0.45:
        return np.ones(h.grid.shape, np.float32)
    ragged = rng.uniform(0.3, 1.8) * smooth_field(rng, h.grid.shape, spacing_mm=h.grid.spacing_mm, scale_mm=14)
    return (h.depth_mm + ragged < rng.uniform(-0.5, 3.0)).astype(np.float32)


def outlined(fraction: Volume, *, contrast: float, noise: float, level: float = 0.5) -> Mask:
    """The mask as a rater draws it: each visible spot, from a share of its local maximum on.

    Half of the maximum gives an infarct larger than the point spread its exact border, and one smaller than it the
    extent that is seen on the image; raters draw the pale rim along, each a little further out than the other. A spot
    is visible where it makes DWI brighter by a fifth and by 2.5 times the noise.

    Args:
        fraction: Infarcted share of each voxel, at the scanner's resolution.
        contrast: Signal of infarcted over normal white matter on DWI.
        noise: Standard deviation of the noise over the signal of normal white matter.
        level: Share of the local maximum from which the rater draws, in (0, 1].
    """
    peak = ndimage.maximum_filter(fraction, size=(5, 5, 3))
    mask = (fraction >= level * peak) & (fraction >= 0.4 * level)
    labels, count = labelled(mask)
    brightest = ndimage.maximum(fraction, labels, index=np.arange(count + 1)) * (contrast - 1)
    visible = np.asarray(brightest) >= max(0.2, 2.5 * noise)
    visible[0] = False
    return visible[labels]


@dataclass(frozen=True, eq=False)
class Acquired:
    """What the scanner gives of one sequence or more: volumes on one grid, and what was drawn on the way."""

    grid: Grid
    volumes: Mapping[str, np.ndarray]
    drawn: Mapping[str, object]


def _diffusion(
    rng: np.random.Generator, h: Head, made: Mapping[str, Volume], amount: Volume, p: Protocol
) -> tuple[Acquired, float]:
    """``b0``, ``dwi``, ``adc``, the infarct's ``share`` of each voxel; and the noise relative to white matter's DWI."""
    field, strip = scanner.distortion(rng, h), _head_mask(rng, h)
    typical = float(np.median(made["dwi"][h.white > 0.8]))
    receiver = scanner.drawn_receiver(rng, snr=float(np.exp(rng.uniform(np.log(7), np.log(45)))), signal=typical)
    grid = scanner.slice_grid(h.grid, receiver.thickness_mm)
    coil = scanner.shading(rng, grid, receiver)
    fields = {"b0": field, "dwi": scanner.eddy_currents(rng, field, h)}
    clean = {n: scanner.resolved(scanner.distorted(made[n], f), h.grid, receiver) * coil for n, f in fields.items()}
    strip = scanner.resolved(scanner.distorted(strip, field, stacks=False), h.grid, replace(receiver, blur=1e-3)) > 0.5
    inflow = scanner.edge_slices(rng, grid.shape[2])
    clean = {n: volume * inflow for n, volume in clean.items()}
    b0 = scanner.received(rng, clean["b0"], receiver)
    dwi = scanner.received(rng, clean["dwi"], receiver, averages=3)
    adc = np.clip(signal.adc_fit(b0, dwi, b_value=p.b_value), -0.4, 4.0)
    if rng.random() < 0.7:  # most scanners blank the map where there is no signal
        adc = adc * (b0 > rng.uniform(3, 8) * receiver.noise)
    share = scanner.resolved(scanner.distorted(amount, fields["dwi"], stacks=False), h.grid, receiver)
    units = np.float32(rng.uniform(150, 900) / typical)
    volumes = {"b0": np.rint(b0 * units) * strip, "dwi": np.rint(dwi * units) * strip, "adc": adc * strip}
    drawn = {"receiver": asdict(receiver), "stripped": not strip.all()}
    return Acquired(grid, volumes | {"share": share * strip}, drawn), receiver.noise / typical / 3**0.5


def _moved(rng: np.random.Generator, volume: Volume, spacing_mm: float) -> tuple[Volume, dict[str, object]]:
    """The head has moved since the last sequence: turned in the plane and shifted a little."""
    shift_mm, angle_deg = rng.normal(0, 0.6, 3), float(rng.normal(0, 0.6))
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    centre = (np.array(volume.shape) - 1) / 2
    offset = centre - matrix @ centre + shift_mm / spacing_mm
    moved = ndimage.affine_transform(volume, matrix, offset, order=1, output=np.float32)
    return moved, {"shift_mm": shift_mm.tolist(), "rotation_deg": angle_deg}


def _flair(rng: np.random.Generator, h: Head, made: Volume) -> Acquired:
    """FLAIR as the scanner gives it, on its own slices."""
    moved, motion = _moved(rng, made, h.grid.spacing_mm[0])
    snr = float(np.exp(rng.uniform(np.log(12), np.log(60))))
    receiver = scanner.drawn_receiver(rng, snr=snr, signal=float(np.median(made[h.white > 0.8])))
    grid = scanner.slice_grid(h.grid, receiver.thickness_mm)
    clean = scanner.resolved(moved, h.grid, receiver) * scanner.shading(rng, grid, receiver)
    flair = scanner.received(rng, clean, receiver)
    strip = scanner.resolved(_head_mask(rng, h), h.grid, replace(receiver, blur=1e-3)) > 0.5
    stored = np.rint(flair * np.float32(rng.uniform(400, 3000))) * strip
    return Acquired(grid, {"flair": stored}, {"receiver": asdict(receiver), "motion": motion})


def generate(seed: int, *, outline: Outline | None = None, name: str | None = None) -> Phantom:
    """A stroke drawn from one seed.

    Args:
        seed: Of every random choice; the same seed gives the same bytes.
        outline: A real lesion's outline in MNI space; half of the infarcts that get one take its shape.
        name: Of the case; ``sub-phantom<seed>`` unless given.
    """
    rng = np.random.default_rng(seed)
    h, drawn_head = head(rng)
    pattern = drawn_pattern(rng, outline=outline)
    amount = infarcted(rng, h, pattern=pattern, outline=outline)
    protocol = signal.drawn_protocol(rng)
    since = _visible_stage(rng, protocol)
    body = _body(rng, h, amount, since)
    made = _signals(rng, h, body, protocol)
    diffusion, noise = _diffusion(rng, h, made, amount * h.tissue, protocol)
    flair = _flair(rng, h, made["flair"])
    affine, volumes = diffusion.grid.affine, diffusion.volumes
    scans: dict[Modality, Scan] = {
        "dwi": scan_from(volumes["dwi"], affine, b_value=protocol.b_value),
        "adc": scan_from(volumes["adc"], affine),
        "b0": scan_from(volumes["b0"], affine, b_value=0.0),
        "flair": scan_from(flair.volumes["flair"], flair.grid.affine),
    }
    contrast = signal.diffusion_contrast(protocol, adc=since.adc_factor, t2=since.t2_factor)
    level = float(rng.uniform(0.2, 0.5))
    mask = outlined(volumes["share"], contrast=contrast, noise=noise, level=level)
    said = Conversion("phantom.generate", "case", f"Drawn from seed {seed}; a phantom, not a patient", {"seed": seed})
    case = Case(name or f"sub-phantom{seed:06d}", scans, {"lesion": scan_from(mask, affine)}, (said,))
    parameters = {
        "seed": seed,
        "pattern": pattern,
        "rater_level": level,
        "outline": outline.name if outline is not None and pattern == "outline" else "",
        "stage": asdict(since),
        "head": drawn_head,
        "protocol": asdict(protocol),
        "tissues": {n: asdict(t) for n, t in body.tissues.items()},
        "diffusion": diffusion.drawn,
        "flair": flair.drawn,
    }
    return Phantom(case, scan_from(volumes["share"], affine), parameters)
