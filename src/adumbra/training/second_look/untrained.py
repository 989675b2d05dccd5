"""A model with an untrained second look, whose first pass is searched for candidates to train it on."""

from dataclasses import replace

from adumbra.networks.registry import LoadedNetwork, architecture_of
from adumbra.networks.second_look import SecondLookNetwork
from adumbra.networks.weights import Card
from adumbra.posterior.second_look import second_look_of
from adumbra.segmentation_model import SegmentationModel
from adumbra.training.second_look.config import SecondLookTraining


def model_with_untrained_look(model: SegmentationModel, config: SecondLookTraining) -> SegmentationModel:
    """The model with the cube, the images and the candidate rule of a training; its scores mean nothing."""
    network = SecondLookNetwork(config.network).eval()
    card = Card(
        name="untrained",
        sha256="",
        architecture=architecture_of(config.network),
        config=config.network.as_json(),
        spacing_mm=config.spacing_mm,
        patch=config.side,
        threshold=0.5,
    )
    return replace(model, second_look=second_look_of([LoadedNetwork(network, card)], None, model.config.compute))
