"""What trainings ask of a graphics card: parameters, and the computed peak of memory of one step.

Run: ``python benchmarks/training_memory.py [--patch 96] [--batch 2]``, some minutes on a processor. Seven modalities,
bfloat16. It is what ``adumbra train --dry-run`` says, for the networks of ``training.presets``; an RTX 3090 has 24 GB.
Workspaces of convolutions come on top.
"""

import argparse

from adumbra.core.types import MODALITIES
from adumbra.networks.unet import UNetConfig
from adumbra.training.plan import planned
from adumbra.training.presets import TrainingPreset, config_for, network_of_preset

PRESETS = {
    "U-Net": TrainingPreset(),
    "U-Net, guided attention at its skips": TrainingPreset(fusion="uncertainty"),
    "cross-modal, guided": TrainingPreset("crossmodal", "uncertainty"),
    "cross-modal, guided, with the regulariser beside it": TrainingPreset(
        "crossmodal", "uncertainty", regulariser="joint", blur="focused"
    ),
    "diffusion of masks": TrainingPreset("diffusion"),
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--batch", type=int, default=2)
    asked = parser.parse_args()
    print("| | parameters | memory |\n|---|---|---|")
    for name, preset in PRESETS.items():
        network = network_of_preset(preset, UNetConfig(modalities=MODALITIES))
        config = config_for(
            preset, "lesion", network=network, patch=asked.patch, batch=asked.batch, precision="bf16", device="cpu"
        )
        plan = planned(config, cases=100)
        parameters = (plan.parameters + plan.denoiser) / 1e6
        print(f"| {name} | {parameters:.1f} million | {plan.memory_gb:.1f} GB |", flush=True)


if __name__ == "__main__":
    main()
