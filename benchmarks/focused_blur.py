"""What the focused blur costs, and how far it is from the exact one: all in one run.

Run: ``python benchmarks/focused_blur.py``. A volume of 112 by 112 by 73 voxels, sigma up to 3 voxels, from a map of
uncertainty that is a few smooth blobs with sharp rims; two images, tissues with noise and a constant under them, and
white noise alone, which is the roughest there is and has no mean that would flatter a relative error. The exact blur
is the sum over every voxel's own Gaussian, and is computed for all voxels, compiled and in float64; beside it the same
sum as plain NumPy writes it, a pass over the volume for each offset, timed on some of the offsets and scaled to all.
Costs are CPU seconds of one thread, medians of runs taken in turn.

The claims: within 1 % of the exact blur (relative L2); 1,000 times faster than it in NumPy; at most 8 times the cost
of one ``scipy.ndimage.gaussian_filter`` of the largest sigma. The derivative by sigma is compared with the exact one's.
"""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import time

import numba
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from adumbra.fusion.blur import focused_blur
from adumbra.fusion.focus import focus
from adumbra.fusion.ladder import ladder

SHAPE, MOST, REACH = (112, 112, 73), 3.0, 12
SPACINGS = ((1.0, 1.0, 1.0), (0.7, 0.7, 2.0))


@numba.njit(cache=False)
def exact(image, sigma_mm, spacing_mm, slope):
    """The sum over each voxel's own Gaussian, mirrored at the borders; its derivative by sigma where ``slope``."""
    out = np.zeros(image.shape)
    weights, rates = np.zeros((3, 2 * REACH + 1)), np.zeros((3, 2 * REACH + 1))
    radii = np.zeros(3, np.int64)
    for x in range(image.shape[0]):
        for y in range(image.shape[1]):
            for z in range(image.shape[2]):
                sigma = sigma_mm[x, y, z]
                if sigma == 0.0:
                    out[x, y, z] = 0.0 if slope else image[x, y, z]
                    continue
                for axis in range(3):
                    s = sigma / spacing_mm[axis]
                    radii[axis] = r = int(4.0 * s + 0.5)
                    total, change = 0.0, 0.0
                    for n in range(-r, r + 1):
                        w = np.exp(-0.5 * (n / s) ** 2)
                        weights[axis, n + r], rates[axis, n + r] = w, w * n * n / (s * s * sigma)
                        total += w
                        change += rates[axis, n + r]
                    for n in range(2 * r + 1):
                        rates[axis, n] = (rates[axis, n] - weights[axis, n] * change / total) / total
                        weights[axis, n] /= total
                plain, by_x, by_y, by_z = 0.0, 0.0, 0.0, 0.0
                for i in range(-radii[0], radii[0] + 1):
                    a = mirrored(x + i, image.shape[0])
                    line, line_y, line_z = 0.0, 0.0, 0.0
                    for j in range(-radii[1], radii[1] + 1):
                        b = mirrored(y + j, image.shape[1])
                        sum_w, sum_r = 0.0, 0.0
                        for k in range(-radii[2], radii[2] + 1):
                            value = image[a, b, mirrored(z + k, image.shape[2])]
                            sum_w += weights[2, k + radii[2]] * value
                            sum_r += rates[2, k + radii[2]] * value
                        line += weights[1, j + radii[1]] * sum_w
                        line_y += rates[1, j + radii[1]] * sum_w
                        line_z += weights[1, j + radii[1]] * sum_r
                    plain += weights[0, i + radii[0]] * line
                    by_x += rates[0, i + radii[0]] * line
                    by_y += weights[0, i + radii[0]] * line_y
                    by_z += weights[0, i + radii[0]] * line_z
                out[x, y, z] = by_x + by_y + by_z if slope else plain
    return out


@numba.njit(cache=False)
def mirrored(i, length):
    """The voxel that stands at an index beyond the ends."""
    if i < 0:
        i = -1 - i
    return i if i < length else 2 * length - 1 - i


def in_numpy(image, sigma, offsets):
    """The part of the exact sum, numerator and denominator, that some offsets in voxels bring."""
    padded = np.pad(image, REACH, mode="symmetric")
    above, below = np.zeros(image.shape), np.zeros(image.shape)
    half = -0.5 / np.maximum(sigma, 1e-3) ** 2
    for offset in offsets:
        weight = np.exp(half * float(offset @ offset))
        above += (
            weight * padded[tuple(slice(REACH + o, REACH + o + n) for o, n in zip(offset, image.shape, strict=True))]
        )
        below += weight
    return above, below


def volumes(rng):
    """An image of tissues, and a map of uncertainty."""

    def smooth(width):
        noise = gaussian_filter(rng.standard_normal(SHAPE), width)
        return noise / noise.std()

    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    head = sum(a**2 for a in axes) < 0.8 + 0.05 * smooth(8)
    tissue = np.where(head, 1.0 + 0.4 * (smooth(4) > 0.3) + 1.2 * (smooth(6) > 1.8), 0.0)
    image = tissue + np.where(head, 0.1, 0.02) * rng.standard_normal(SHAPE)
    blobs = gaussian_filter(np.where(smooth(6) > 1.5, 1.0, 0.15), 1.0)  # a plateau that falls off within some voxels
    unsure = head * (blobs + 0.3 * np.exp(-(smooth(3) ** 2) / 0.02)) * (1 + 0.2 * smooth(5)).clip(0.2)
    return image.astype(np.float32), unsure.astype(np.float32)


def in_turn(runs, *, times):
    """Median CPU seconds of each run; one of each after another, so that a slow minute is slow for all."""
    spent = {name: [] for name in runs}
    for _ in range(times):
        for name, run in runs.items():
            begun = time.process_time()
            run()
            spent[name].append(time.process_time() - begun)
    return {name: float(np.median(seconds)) for name, seconds in spent.items()}


def relative(found, truth):
    """L2 distance over the L2 norm of the truth."""
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def slope_of(image, sigma_mm, spacing_mm, tolerance):
    """The derivative of each voxel by its own sigma: they do not depend on each other's."""
    along = torch.from_numpy(sigma_mm.copy()).requires_grad_()
    focused_blur(torch.from_numpy(image), along, spacing_mm=spacing_mm, tolerance=tolerance).sum().backward()
    return along.grad.numpy()


def accuracy(images, unsure, tolerances):
    """Prints errors against the exact blur; returns its CPU seconds on voxels of 1 mm."""
    print(f"{'relative L2':22s} {'image':>8s}" + "".join(f"   {t:9g}: value, slope" for t in tolerances))
    for spacing_mm in SPACINGS:
        sigma_mm = focus(unsure, most_mm=MOST * min(spacing_mm))
        for name, image in images.items():
            begun = time.process_time()
            truth = exact(image.astype(float), sigma_mm.astype(float), spacing_mm, False)
            spent = time.process_time() - begun
            slope = exact(image.astype(float), sigma_mm.astype(float), spacing_mm, True)
            errors = []
            for t in tolerances:
                value = relative(focused_blur(image, sigma_mm, spacing_mm=spacing_mm, tolerance=t), truth)
                errors.append((value, relative(slope_of(image, sigma_mm, spacing_mm, t), slope)))
            print(f"{'spacing ' + str(spacing_mm):22s} {name:>8s}"
                  + "".join(f"   {100 * v:11.3f} %, {100 * s:5.2f} %" for v, s in errors))  # fmt: skip
            seconds = spent if spacing_mm == SPACINGS[0] and name == "tissue" else seconds
    return seconds


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9, help="runs of each")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(7)
    image, unsure = volumes(rng)
    sigma = focus(unsure, most_mm=MOST)
    print(f"sigma: 0 in {(sigma == 0).mean():.0%} of the voxels, else mean {sigma[sigma > 0].mean():.2f}")
    exact(image[:4, :4, :4].astype(float), sigma[:4, :4, :4].astype(float), SPACINGS[0], False)  # compiled here
    compiled = accuracy(
        {"tissue": image, "noise": rng.standard_normal(SHAPE).astype(np.float32)}, unsure, (0.01, 0.005)
    )
    runs = {"scipy, sigma 3": lambda: gaussian_filter(image, MOST)}
    for t in (0.01, 0.005):
        focused_blur(image, sigma, spacing_mm=SPACINGS[0], tolerance=t)  # the ladder is built once
        runs[f"focused, {t:g}"] = lambda t=t: focused_blur(image, sigma, spacing_mm=SPACINGS[0], tolerance=t)
    spent = in_turn(runs, times=asked.times)
    offsets = rng.integers(-REACH, REACH + 1, size=(100, 3))
    share = (2 * REACH + 1) ** 3 / len(offsets)
    spent["exact, NumPy (scaled)"] = in_turn({"": lambda: in_numpy(image, sigma, offsets)}, times=3)[""] * share
    spent["exact, compiled"] = compiled
    one, blur = spent["scipy, sigma 3"], spent["focused, 0.01"]
    print(f"{'':24s} {'CPU s':>9s} {'of scipy':>9s} {'of focused':>11s}")
    for name, seconds in spent.items():
        print(f"{name:24s} {seconds:9.4f} {seconds / one:9.2f} {seconds / blur:11.1f}")
    rungs = len([r for r in ladder(SPACINGS[0], 4.0, 0.01).rungs_mm if r < MOST])
    print(f"Gaussians mixed at 0.01: {rungs}")


if __name__ == "__main__":
    main()
