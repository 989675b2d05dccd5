"""Checks that the options of a training fit each other, before anything is written."""

from adumbra.core.errors import InputRejected
from adumbra.networks.unet_config import UNetConfig
from adumbra.training.config import DataConfig, OptimiserConfig, TrainConfig, network_for
from adumbra.training.fitting import least_steps
from adumbra.training.options import TrainedPosterior


def require_consistent(cases: int, config: TrainConfig) -> None:
    """Refuses a training whose options contradict each other or its number of cases.

    Raises:
        InputRejected: They do; the error names the option.
    """
    _require_enough_cases(cases, config.data)
    _require_network_for(config.posterior, config.network)
    _require_steps(config.posterior, config.optimiser)
    _require_guide(config)
    _require_patch(config.data, config.network)


def _require_enough_cases(cases: int, data: DataConfig) -> None:
    if cases <= (held_out := data.held_out * (data.fold + 1)):
        raise InputRejected(
            "cases",
            expected=f"more than {held_out}, for the {data.held_out} that are held out of fold {data.fold}",
            found=f"{cases}",
            do="give more cases, or hold out fewer",
        )


def _require_network_for(posterior: TrainedPosterior, network: UNetConfig) -> None:
    if (suitable := network_for(posterior, network)) != network:
        raise InputRejected(
            "posterior",
            expected=f"for {posterior}, a network with {suitable}",
            found=str(network),
            do="make its config with training.config.network_for",
        )


def _require_steps(posterior: TrainedPosterior, optimiser: OptimiserConfig) -> None:
    if optimiser.steps < (least := least_steps(posterior, optimiser)):
        raise InputRejected(
            "steps",
            expected=f"at least {least} for {posterior}",
            found=str(optimiser.steps),
            do="train longer; 0 steps are for --posterior laplace with --initial weights",
        )


def _require_guide(config: TrainConfig) -> None:
    guide = config.guidance.guide
    if (guide != "none") != config.uses_uncertainty:
        raise InputRejected(
            "guide",
            expected="a guide where the network, the blur or the loss uses uncertainty, and none elsewhere",
            found=f"guide {guide}, {'where they use it' if config.uses_uncertainty else 'where none of them uses it'}",
            do="give the guide uncertainty, or a network, blur and loss without uncertainty",
        )


def _require_patch(data: DataConfig, network: UNetConfig) -> None:
    if data.patch % network.multiple:
        raise InputRejected(
            "patch",
            expected=f"a multiple of {network.multiple}, for {len(network.widths)} levels",
            found=str(data.patch),
            do="round it",
        )
    if data.patch < 2 * network.multiple:
        raise InputRejected(
            "patch",
            expected=f"at least {2 * network.multiple}, for the normalisation of {len(network.widths)} levels",
            found=str(data.patch),
            do="take larger patches, or a network of fewer levels",
        )
