"""Comparison of the phantom with real images: slices, intensity histograms and power spectra, with their distance.

Run: ``python benchmarks/phantom_beside_real.py ISLES_SUBJECT SWI_DIR OUT_DIR``, with an ISLES'22 subject (DWI, ADC,
FLAIR) and a folder with ``Mag.nii`` and ``Phase.nii`` of a multi-echo crop with visible veins. Real slices are
not part of the repository; ``slices.png`` needs the data, ``curves.svg`` is in the docs.

The distance is the Wasserstein distance between the distributions, in units of the interquartile range of the real one.
The slope is that of log power over log frequency between 0.05 and 0.24 cycles/mm.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from scipy.stats import wasserstein_distance

from adumbra.cases.registry import open_case
from adumbra.core.geometry.resampling import resample
from adumbra.core.phase_encodings import PHASES, radians_of
from adumbra.phantom.generate import generate
from adumbra.preprocessing.brain_mask import extract_brain
from adumbra.preprocessing.phase import homodyne

SEEDS = (101, 102, 103, 104)
ECHO = 1  # index of the echo in the real series
BAND = (0.05, 0.24)  # cycles/mm


def scaled(values):
    """Values in units of their interquartile range about their median."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return (values - middle) / (high - low)


def spectrum(volume, spacing_mm, window=True):
    """Mean power of the slices by frequency in cycles/mm, normalised to 1 at a frequency of 0.05."""
    nx, ny = volume.shape[:2]
    taper = np.hanning(nx)[:, None] * np.hanning(ny)[None, :] if window else 1.0
    levels = [k for k in range(volume.shape[2]) if (volume[..., k] != 0).mean() > 0.15]
    power = sum(np.abs(np.fft.fft2((volume[..., k] - volume[..., k].mean()) * taper)) ** 2 for k in levels)
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n, d) for n, d in zip((nx, ny), spacing_mm, strict=False)),
                                   indexing="ij"))  # fmt: skip
    step = max(0.01, 1.0 / min(nx * spacing_mm[0], ny * spacing_mm[1]))  # a crop has few frequencies
    edges = np.arange(0.5 * step if step > 0.02 else 0.03, 0.5 / max(spacing_mm[:2]), step)
    which = np.digitize(radius.ravel(), edges)
    counts, sums = np.bincount(which), np.bincount(which, power.ravel())
    middle = (edges[1:] + edges[:-1]) / 2
    curve = (sums[1 : len(edges)] / np.maximum(counts[1 : len(edges)], 1))[: len(middle)]
    return middle, curve / np.interp(BAND[0], middle, curve)


def slope(curve):
    """The slope of log power over log frequency, within the band."""
    frequency, power = curve
    inside = (frequency >= BAND[0]) & (frequency <= min(BAND[1], frequency[-1]))
    return float(np.polyfit(np.log(frequency[inside]), np.log(power[inside]), 1)[0])


def describe_diffusion(case):
    """Values in the brain, spectrum and middle slice of each modality."""
    brain = extract_brain(case.scans["dwi"].data, case.scans["dwi"].grid)
    described = {}
    for name in ("dwi", "adc", "flair"):
        scan = case.scans[name]
        inside = resample(brain.astype(np.float32), case.scans["dwi"].grid, scan.grid) > 0.5
        values = scan.data[inside]
        middle = scan.data[..., int(0.55 * scan.data.shape[2])]
        described[name] = (
            values if name == "adc" else scaled(values),
            spectrum(scan.data, scan.grid.spacing_mm),
            middle,
        )
    return described


def describe_gradient_echo(magnitude, phase, spacing_mm):
    """Values, spectrum and middle slice of a crop: magnitude over its median, and high-pass filtered phase."""
    high = homodyne(phase, spacing_mm=spacing_mm, magnitude=magnitude)
    relative = magnitude / np.median(magnitude)
    level = magnitude.shape[2] // 2
    return {
        "magnitude": (relative.ravel(), spectrum(relative, spacing_mm), relative[..., level]),
        "phase": (high.ravel(), spectrum(high, spacing_mm), high[..., level]),
    }


def real_gradient_echo(folder):
    """Values, spectrum and middle slice of the real crop."""
    images = [nib.load(folder / f"{name}.nii") for name in ("Mag", "Phase")]
    magnitude, stored = (np.asarray(i.dataobj, np.float32)[..., ECHO] for i in images)
    spacing_mm = tuple(float(s) for s in images[0].header.get_zooms()[:3])
    return describe_gradient_echo(magnitude, radians_of(stored, PHASES["±0.0037"]), spacing_mm)


def simulated_gradient_echo(phantom, side_mm):
    """A crop as large as the real one, around the internal cerebral veins."""
    swi, phase = phantom.case.scans["swi"], phantom.case.scans["phase"]
    middle = np.round(swi.grid.index((0.0, -20.0, 18.0))).astype(int)
    half = [int(s / d / 2) for s, d in zip(side_mm, swi.grid.spacing_mm, strict=True)]
    crop = tuple(slice(m - h, m + h) for m, h in zip(middle, half, strict=True))
    return describe_gradient_echo(swi.data[crop], phase.data[crop], swi.grid.spacing_mm)


def report(real, simulated):
    """Prints the table."""
    print(f"{'':10} {'distance':>9} {'slope, real':>12} {'slope, phantom':>15}   (phantom: {len(SEEDS)} seeds)")
    for name, (values, curve, _) in real.items():
        span = np.subtract(*np.percentile(values, (75, 25)))
        away = [wasserstein_distance(values[:: 1 + len(values) // 50000], d[name][0][:: 1 + len(d[name][0]) // 50000])
                for d in simulated]  # fmt: skip
        slopes = [slope(d[name][1]) for d in simulated]
        slope_range = f"{min(slopes):.2f} to {max(slopes):.2f}"
        print(f"{name:10} {np.median(away) / span:9.2f} {slope(curve):12.2f} {slope_range:>15}")


def figures(real, simulated, out):
    """Writes the two pictures."""
    names = list(real)
    figure, axes = plt.subplots(2, len(names), figsize=(3.2 * len(names), 5.4))
    for column, name in enumerate(names):
        low, high = np.percentile(real[name][0], (0.5, 99.5))
        for source, colour, width in (*((d, "#c8641e", 0.8) for d in simulated), (real, "#0b6478", 1.8)):
            axes[0, column].hist(np.clip(source[name][0], low, high), 80, density=True, histtype="step", color=colour,
                                 lw=width)  # fmt: skip
            axes[1, column].loglog(*source[name][1], color=colour, lw=width)
        axes[0, column].set(title=name, yticks=[])
        axes[1, column].set_xlabel("cycles/mm")
    axes[0, 0].set_ylabel("intensity")
    axes[1, 0].set_ylabel("power")
    figure.suptitle("real (blue) and phantoms (orange)", fontsize=11)
    figure.tight_layout()
    figure.savefig(out / "curves.svg", metadata={"Date": None})
    figure, axes = plt.subplots(2, len(names), figsize=(3.4 * len(names), 7.2))
    for row, source in enumerate((real, simulated[0])):
        for column, name in enumerate(names):
            shown = source[name][2]
            axes[row, column].imshow(np.rot90(shown), cmap="gray", vmin=np.percentile(shown, 0.5),
                                     vmax=np.percentile(shown, 99.7))  # fmt: skip
            axes[row, column].set(title=f"{name}, {('real', 'phantom')[row]}", xticks=[], yticks=[])
    figure.tight_layout()
    figure.savefig(out / "slices.png", dpi=70)


def main() -> None:
    """Simulates the phantoms, prints the table, writes the pictures."""
    subject, crop, out = (Path(a) for a in sys.argv[1:4])
    out.mkdir(parents=True, exist_ok=True)
    real = describe_diffusion(open_case(subject)) | real_gradient_echo(crop)
    image = nib.load(crop / "Mag.nii")
    side_mm = [n * d for n, d in zip(image.shape[:3], image.header.get_zooms()[:3], strict=True)]
    simulated = []
    for seed in SEEDS:
        phantom = generate(seed, preset_name="monocentric")
        simulated.append(describe_diffusion(phantom.case) | simulated_gradient_echo(phantom, side_mm))
    report(real, simulated)
    figures(real, simulated, out)


if __name__ == "__main__":
    main()
