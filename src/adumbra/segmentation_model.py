"""A segmentation model: trained networks, the posterior that is sampled, and its calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adumbra.core.options import InferenceConfig
from adumbra.core.types import Target
from adumbra.inference.posteriors import Posterior
from adumbra.networks.registry import LoadedNetwork, load
from adumbra.posterior.registry import default_posterior, posterior_of
from adumbra.uncertainty.calibration.io import Calibration, read_calibration, require_for


@dataclass(frozen=True, eq=False)
class SegmentationModel:
    """Everything about a segmentation that does not depend on the case.

    Attributes:
        target: The target to segment.
        networks: One trained network, or the members of an ensemble.
        posterior: The posterior that is sampled.
        posterior_name: Its name in ``posterior.registry``.
        calibration: Calibration of the probabilities and of the volume; None leaves them as they are.
        config: Settings of the prediction.
    """

    target: Target
    networks: Sequence[LoadedNetwork]
    posterior: Posterior
    posterior_name: str
    calibration: Calibration | None
    config: InferenceConfig

    @property
    def thresholds(self) -> tuple[float, float]:
        """Threshold and high threshold of the mask, for the probabilities as they are calibrated."""
        card, config = self.networks[0].card, self.config
        low = card.threshold if config.threshold is None else config.threshold
        high = card.high_threshold if config.high_threshold is None else config.high_threshold
        if self.calibration is None:
            return low, high
        return self.calibration.calibrated_threshold(low), self.calibration.calibrated_threshold(high)


def load_model(target: Target, config: InferenceConfig | None = None) -> SegmentationModel:
    """The networks, posterior and calibration of a configuration.

    Raises:
        WeightsRejected: Weights or calibration cannot be used, do not know the target, or do not belong together.
        InputRejected: There is no such posterior.
    """
    config = config or InferenceConfig()
    weights = target if config.weights is None else config.weights
    names = [weights] if isinstance(weights, str | Path) else weights
    networks = [load(name) for name in names]
    posterior = posterior_of(networks, config.posterior, target=target, compute=config.compute)
    name = config.posterior or default_posterior(networks[0])
    calibration = _calibration(config, networks, target=target, posterior=name)
    return SegmentationModel(target, networks, posterior, name, calibration, config)


def _calibration(
    config: InferenceConfig, networks: Sequence[LoadedNetwork], *, target: Target, posterior: str
) -> Calibration | None:
    """The calibration of a configuration; one that belongs to other weights or another posterior is refused."""
    beside = config.calibration == "beside"
    path = networks[0].calibration if beside else config.calibration
    if path is None or path == "none" or (beside and len(networks) > 1):
        return None
    calibration = read_calibration(Path(path))
    if beside and posterior != calibration.posterior:
        return None  # the file beside the weights is for the posterior that they were trained for
    weights = tuple(network.card.sha256 for network in networks)
    require_for(calibration, target=target, posterior=posterior, weights=weights)
    return calibration
