"""The brain network: its shapes, its released weights, and what it needs of its input."""

import json
from importlib import resources

import numpy as np
import pytest
import torch

from adumbra.networks.brain_network import WIDTHS, BrainNetwork, brain_share, released_brain_network


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 13, 5), (1, 1, 1)])
def test_every_shape_gives_a_share_of_its_own_shape(shape, rng):
    share = brain_share(rng.random((2, *shape), dtype=np.float32))
    assert share.shape == shape
    assert ((share >= 0) & (share <= 1)).all()


def test_where_nothing_was_measured_there_is_no_brain():
    assert brain_share(np.zeros((2, 24, 24, 24), np.float32)).max() < 0.5


def test_the_released_weights_are_those_of_the_card():
    network, card = released_brain_network()
    folder = resources.files("adumbra.networks") / "weights"
    facts = json.loads((folder / "brain.json").read_text())
    assert card.sha256 == facts["sha256"]
    assert facts["config"]["widths"] == list(WIDTHS)
    assert len((folder / "brain.safetensors").read_bytes()) < 2_000_000
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_a_network_of_another_width_keeps_the_shape():
    network = BrainNetwork((4, 8)).eval()
    assert network.multiple == 2
    assert network(torch.zeros(2, 2, 8, 6, 4)).shape == (2, 1, 8, 6, 4)
