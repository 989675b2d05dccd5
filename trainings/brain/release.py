"""Puts the weights of a training into the package, with the facts of their model card.

    python trainings/brain/release.py RUN

RUN is the folder of ``train.py``; of an unfinished training the averaged weights of its last state are taken.
"""

import argparse
import json
from pathlib import Path

import torch
from train import averaged_weights, facts_of

from adumbra.core.atomic_io import write_atomically
from adumbra.networks.weights import save_weights

WEIGHTS = Path(__file__).parents[2] / "src" / "adumbra" / "networks" / "weights"


def main() -> None:
    """Writes ``brain.safetensors`` and ``brain.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    facts = facts_of(torch.load(arguments.run / "state.pt", weights_only=True))
    tensors = {
        name: t for name, t in averaged_weights(arguments.run).items() if not name.endswith("num_batches_tracked")
    }
    sha256 = save_weights(WEIGHTS / "brain.safetensors", tensors, facts)
    card = json.dumps({"sha256": sha256, **facts}, indent=2, sort_keys=True) + "\n"
    write_atomically(WEIGHTS / "brain.json", card.encode())
    print(sha256)


if __name__ == "__main__":
    main()
