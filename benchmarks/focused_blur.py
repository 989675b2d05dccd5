"""Cost and accuracy of the focused blur, beside the exact sum and a uniform Gaussian blur, all in one run.

Run: ``OMP_NUM_THREADS=1 python benchmarks/focused_blur.py``, about a minute and a half.

The volume has 112 × 112 × 73 voxels, and sigma is at most 3 voxels. There are two maps of uncertainty: "rims" has blobs
with sharp rims in a head that is mostly certain, and "wide" has all values up to the highest in the whole volume, which
is the most work. There are two images: tissues with noise, and white noise, which is the roughest image and has no mean
that would lower a relative error. The reference is the sum over each voxel's own Gaussian in float64, at all voxels.

That sum is timed in two forms. In plain NumPy it is one pass over the volume for each of 25³ offsets; 60 of them are
timed and the time is scaled. In the compiled form each voxel's sum ends at 4 of its own sigma. Costs are CPU seconds of
one thread, medians of interleaved runs.

The claims, at the default tolerance of 0.01: within 0.5 % of the exact blur (relative L2) and at most 8 times the cost
of one ``scipy.ndimage.gaussian_filter`` of the largest sigma, on both maps; 1,000 times faster than the sum in NumPy on
"rims". At 0.02: within 1 %, and about 1,000 times faster on "wide" too. The compiled sum is tens of times slower on
"wide", and about as fast on "rims", where it skips nearly all voxels.
"""

import argparse
import itertools
import time

import numba
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from adumbra.blur.focused_blur import focused_blur
from adumbra.blur.sigma_levels import sigma_levels
from adumbra.blur.sigma_maps import sigma_from_uncertainty

SHAPE, MOST, REACH = (112, 112, 73), 3.0, 12
SPACINGS = ((1.0, 1.0, 1.0), (0.7, 0.7, 2.0))
TOLERANCES = (0.02, 0.01, 0.005)


@numba.njit
def exact(image, sigma_mm, spacing_mm, along):
    """The sum over each voxel's own Gaussian, mirrored at the borders.

    If ``along`` is an axis, the Gaussian of that axis is differentiated by sigma. The results of the three axes add up
    to the derivative.
    """
    out = np.zeros(image.shape)
    weights, radii = np.zeros((3, 2 * REACH + 1)), np.zeros(3, np.int64)
    for x, y, z in np.ndindex(image.shape):
        sigma = sigma_mm[x, y, z]
        if sigma == 0.0:
            out[x, y, z] = image[x, y, z] if along < 0 else 0.0
            continue
        for axis in range(3):
            s = sigma / spacing_mm[axis]
            radii[axis] = r = int(4.0 * s + 0.5)
            total, change = 0.0, 0.0
            for n in range(-r, r + 1):
                weights[axis, n + r] = np.exp(-0.5 * (n / s) ** 2)
                total += weights[axis, n + r]
                change += weights[axis, n + r] * n * n
            for n in range(-r, r + 1):
                factor = (n * n - change / total) / (s * s * sigma) if axis == along else 1.0
                weights[axis, n + r] *= factor / total
        for i in range(-radii[0], radii[0] + 1):
            a, plane = mirrored(x + i, image.shape[0]), 0.0
            for j in range(-radii[1], radii[1] + 1):
                b, line = mirrored(y + j, image.shape[1]), 0.0
                for k in range(-radii[2], radii[2] + 1):
                    line += weights[2, k + radii[2]] * image[a, b, mirrored(z + k, image.shape[2])]
                plane += weights[1, j + radii[1]] * line
            out[x, y, z] += weights[0, i + radii[0]] * plane
    return out


@numba.njit
def mirrored(i, length):
    """The index of the voxel at an index beyond the ends."""
    i = -1 - i if i < 0 else i
    return i if i < length else 2 * length - 1 - i


def numpy_sum(image, sigma, offsets):
    """The contribution of some offsets, in voxels, to the numerator and the denominator of the exact sum."""
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


def random_field(rng, width):
    """A Gaussian random field of unit variance."""
    noise = gaussian_filter(rng.standard_normal(SHAPE), width)
    return noise / noise.std()


def volumes(rng):
    """Images and maps of uncertainty, by name."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    head = sum(a**2 for a in axes) < 0.8 + 0.05 * random_field(rng, 8)
    tissue = np.where(head, 1.0 + 0.4 * (random_field(rng, 4) > 0.3) + 1.2 * (random_field(rng, 6) > 1.8), 0.0)
    tissue += np.where(head, 0.1, 0.02) * rng.standard_normal(SHAPE)
    field = random_field(rng, 6)
    rims = head * (0.05 + (field > 1.5) * 0.4 + np.exp(-(((field - 1.5) / 0.15) ** 2)))
    wide = (1.0 + np.tanh(1.2 * random_field(rng, 3))) / 2
    images = {"tissue": tissue, "noise": rng.standard_normal(SHAPE)}
    return ({k: v.astype(np.float32) for k, v in named.items()} for named in (images, {"rims": rims, "wide": wide}))


def median_seconds(runs, *, times):
    """Median CPU seconds of each run. The runs are interleaved, so that a slow minute is slow for all."""
    spent = {name: [] for name in runs}
    for _ in range(times):
        for name, run in runs.items():
            begun = time.process_time()
            run()
            spent[name].append(time.process_time() - begun)
    return {name: float(np.median(seconds)) for name, seconds in spent.items()}


def relative_error(values, truth):
    """L2 distance over the L2 norm of the truth, in percent."""
    return 100 * float(np.linalg.norm(values - truth) / np.linalg.norm(truth))


def formatted(numbers, spec):
    """The numbers, separated by commas."""
    return ", ".join(format(number, spec) for number in numbers)


def sigma_derivative(image, sigma_mm, spacing_mm, tolerance):
    """The derivative of each voxel by its own sigma; no other voxel depends on it."""
    along = torch.from_numpy(sigma_mm.copy()).requires_grad_()
    focused_blur(torch.from_numpy(image), along, spacing_mm=spacing_mm, tolerance=tolerance).sum().backward()
    return along.grad.numpy()


def accuracy(image, sigma_mm, spacing_mm, *, slope):
    """Errors of the blur at each tolerance, of its derivative if ``slope``, and the CPU seconds of the exact blur."""
    doubles = image.astype(float), sigma_mm.astype(float), spacing_mm
    begun = time.process_time()
    truth = exact(*doubles, -1)
    spent = time.process_time() - begun
    options = [{"spacing_mm": spacing_mm, "tolerance": t} for t in TOLERANCES]
    values = [relative_error(focused_blur(image, sigma_mm, **o), truth) for o in options]
    slopes = []
    if slope:
        true = sum(exact(*doubles, axis) for axis in range(3))
        slopes = [relative_error(sigma_derivative(image, sigma_mm, **o), true) for o in options]
    return values, slopes, spent


def costs(image, sigma, rng, *, times):
    """CPU seconds of each method on one map, by name."""
    runs = {"scipy, sigma 3": lambda: gaussian_filter(image, MOST)}
    for t in TOLERANCES:
        runs[f"focused, {t:g}"] = lambda t=t: focused_blur(image, sigma, spacing_mm=SPACINGS[0], tolerance=t)
    spent = median_seconds(runs, times=times)
    offsets = rng.integers(-REACH, REACH + 1, size=(60, 3))
    doubles = image.astype(float), sigma.astype(float)
    some = median_seconds({"numpy": lambda: numpy_sum(*doubles, offsets)}, times=3)["numpy"]
    return spent | {"exact, NumPy, scaled": some * (2 * REACH + 1) ** 3 / len(offsets)}


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=11, help="runs of each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(7)
    images, maps = volumes(rng)
    exact(np.zeros((2, 2, 2)), np.ones((2, 2, 2)), SPACINGS[0], -1)  # The first call compiles it.
    compiled = {}
    print("relative L2 error in %, at tolerances " + formatted(TOLERANCES, "g"))
    for (map_name, uncertainty), (name, image), spacing_mm in itertools.product(maps.items(), images.items(), SPACINGS):
        sigma_mm = sigma_from_uncertainty(uncertainty, max_mm=MOST * min(spacing_mm))
        values, slopes, seconds = accuracy(image, sigma_mm, spacing_mm, slope=name == "tissue")
        if spacing_mm == SPACINGS[0]:
            compiled[map_name] = seconds
        derivative = f", derivative by sigma {formatted(slopes, '.1f')}" if slopes else ""
        print(f"{map_name:5s} {name:7s} {spacing_mm!s:16s} {formatted(values, '.3f')}{derivative}")
    for map_name, uncertainty in maps.items():
        sigma = sigma_from_uncertainty(uncertainty, max_mm=MOST)
        none, average = (sigma == 0).mean(), sigma[sigma > 0].mean()
        print(f"\n{map_name}: sigma is 0 in {none:.0%} of the voxels, else on average {average:.2f}")
        spent = costs(images["tissue"], sigma, rng, times=options.times) | {"exact, compiled": compiled[map_name]}
        print(f"{'':22s} {'CPU s':>9s} {'of scipy':>9s} {'of focused':>11s}")
        for name, seconds in spent.items():
            shares = seconds / spent["scipy, sigma 3"], seconds / spent["focused, 0.01"]
            print(f"{name:22s} {seconds:9.4f} {shares[0]:9.2f} {shares[1]:11.1f}")
    counts = [sum(r < MOST for r in sigma_levels(SPACINGS[0], 4.0, t).levels_mm) for t in TOLERANCES]
    print(f"\nGaussians: {formatted(counts, 'd')}")


if __name__ == "__main__":
    main()
