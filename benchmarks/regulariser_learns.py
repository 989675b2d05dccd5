"""What the diffusion regulariser learns: its denoising error at each noise level, and images sampled from noise.

Run: ``python benchmarks/regulariser_learns.py TRAINING --figure FILE.png [--cases 12]``. TRAINING is the folder of a
training with a regulariser (``adumbra train --regulariser pretrain``, or an arm of
``python -m adumbra.experiments.fusion_ablation``), whose last cases were held out.

The error is the mean squared error of the predicted noise inside the brain, on patches of these cases; the prediction
"no noise" has an error of 1. Beside it is the error of the best prediction from the mean and the variance of single
voxels. A lower error was learned from the anatomy around a voxel. The images are sampled from noise in 20 steps of
second order.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from safetensors.torch import load_file

from adumbra.diffusion.denoising import convert, denoising_error
from adumbra.diffusion.regulariser import SPREAD
from adumbra.diffusion.sampling import sample
from adumbra.diffusion.schedule import Schedule
from adumbra.networks.denoiser import ImageDenoiser
from adumbra.networks.registry import load, network_of
from adumbra.training.fitting import DENOISER_PREFIX
from adumbra.training.patches import concatenate_patches, open_cached_case, sample_patch

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
SIDE = 48


def main() -> None:
    """Prints the errors and writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("--figure", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=12)
    options = parser.parse_args()
    card = load(options.training / "weights.safetensors").card
    checkpoint = load_file(options.training / "checkpoint.safetensors")
    average = {n.removeprefix("average/"): t for n, t in checkpoint.items() if n.startswith("average/")}
    network = network_of(load(options.training / "weights.safetensors").network.config).eval()
    network.load_state_dict({n: t for n, t in average.items() if not n.startswith(DENOISER_PREFIX)})
    denoiser = ImageDenoiser(network.config).eval()
    denoiser.load_state_dict(
        {n.removeprefix(DENOISER_PREFIX): t for n, t in average.items() if n.startswith(DENOISER_PREFIX)}
    )
    rng, schedule = np.random.default_rng(0), Schedule()
    files = sorted((options.training / "cache").glob("*.safetensors"))[-options.cases :]
    patches = concatenate_patches(
        [sample_patch(open_cached_case(f), rng, side=SIDE, spacing_mm=card.spacing_mm) for f in files]
    )
    images, present = torch.from_numpy(patches.channels) / SPREAD, torch.from_numpy(patches.present)
    weights = torch.from_numpy(patches.brain).expand_as(images) * present[:, :, None, None, None]

    def denoise(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        features = network.features_before("decoder", x.float() * SPREAD, present[: len(x)])
        velocity = denoiser(features, x.float(), t.expand(len(x)))
        return convert(velocity, x.float(), t, schedule, given="velocity", wanted="noise")

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=generator)
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    with torch.inference_mode():
        errors = denoising_error(denoise, images, schedule, levels, noise, weights=weights)
        samples = sample(denoise, noise[:3], schedule, steps=20, method="second-order", within=(-2.0, 6.0))
    spread = images[weights > 0].var()
    signal = schedule.signal(levels)
    voxelwise = signal * spread / (signal * spread + 1.0 - signal)  # A Gaussian of that variance, voxel by voxel.
    print("| time | signal | error | from single voxels |\n|---|---|---|---|")
    for t, a, e, v in zip(LEVELS, signal, errors, voxelwise, strict=True):
        print(f"| {t:.2f} | {float(a):.3f} | {float(e):.4f} | {float(v):.4f} |")
    plot(images[:3], samples, network.config.modalities, options.figure)


def plot(real: torch.Tensor, samples: torch.Tensor, modalities: tuple[str, ...], figure: Path) -> None:
    """Writes middle slices of real patches, and below them those of sampled ones."""
    rows = [*real, *samples]
    canvas, axes = plt.subplots(len(rows), len(modalities), figsize=(1.6 * len(modalities), 1.6 * len(rows)))
    for row, volume in zip(axes, rows, strict=True):
        for axis, image, name in zip(row, volume, modalities, strict=True):
            axis.imshow(image[:, :, SIDE // 2].T, origin="lower", cmap="gray", vmin=-2.0, vmax=3.0)
            axis.set_title(name if volume is rows[0] else "", fontsize=8)
            axis.axis("off")
    canvas.tight_layout()
    canvas.savefig(figure, dpi=110)


if __name__ == "__main__":
    main()
