"""GPU memory of trainings: parameters, and the computed peak memory of one step.

Run: ``python benchmarks/training_memory.py [--patch 96] [--batch 2]``, some minutes on a processor. The networks are
those of ``training.presets`` with seven modalities in bfloat16, and the numbers are those of ``adumbra train
--dry-run``. Workspaces of convolutions are not included. An RTX 3090 has 24 GB.
"""

import argparse

from adumbra.core.types import MODALITIES
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.config import DataConfig, RuntimeConfig
from adumbra.training.plan import planned
from adumbra.training.presets import TrainingPreset, config_for, network_of_preset

PRESETS = {
    "U-Net": TrainingPreset(),
    "U-Net, guided attention at the skips": TrainingPreset(fusion="uncertainty"),
    "cross-modal, guided": TrainingPreset("crossmodal", "uncertainty"),
    "cross-modal, guided, with a joint regulariser": TrainingPreset(
        "crossmodal", "uncertainty", regulariser="joint", blur="focused"
    ),
    "mask diffusion": TrainingPreset("diffusion"),
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--batch", type=int, default=2)
    options = parser.parse_args()
    print("| | parameters | memory |\n|---|---|---|")
    for name, preset in PRESETS.items():
        network = network_of_preset(preset, UNetConfig(modalities=MODALITIES))
        data = DataConfig(patch=options.patch, batch=options.batch)
        runtime = RuntimeConfig(precision="bf16", device="cpu")
        config = config_for(preset, "lesion", network=network, data=data, runtime=runtime)
        plan = planned(config, cases=100)
        parameters = (plan.parameters + plan.denoiser) / 1e6
        print(f"| {name} | {parameters:.1f} million | {plan.memory_gb:.1f} GB |", flush=True)


if __name__ == "__main__":
    main()
