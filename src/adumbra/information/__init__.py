"""Mutual information and partial information decomposition, in bits; without torch.

Names are loaded when they are first used (PEP 562), so that importing the package compiles and imports nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adumbra.information.estimators.bias import (
        FewSamples,
        conditional_mutual_information_bias,
        mutual_information_bias,
        quadratic_extrapolation,
    )
    from adumbra.information.estimators.binning import Bins, equal_frequency, equal_width
    from adumbra.information.estimators.gaussian_copula import (
        gaussian_copula_mutual_information,
        gaussian_mutual_information,
    )
    from adumbra.information.estimators.histogram import binned_counts, joint_counts, target_counts
    from adumbra.information.estimators.ksg import ksg_mutual_information
    from adumbra.information.estimators.mutual_information import (
        binned_mutual_information,
        mutual_information,
        normalised_mutual_information,
    )
    from adumbra.information.estimators.plugin import (
        plugin_conditional_mutual_information,
        plugin_mutual_information,
        plugin_normalised_mutual_information,
        plugin_pointwise_information,
    )
    from adumbra.information.estimators.pointwise import pointwise_information_map
    from adumbra.information.pid import broja, williams_beer
    from adumbra.information.pid.atoms import Atoms
    from adumbra.information.pid.examples import EXAMPLES
    from adumbra.information.pid.lattice import Lattice
    from adumbra.information.shannon import entropy, specific_information, table_mutual_information
    from adumbra.information.significance import (
        Interval,
        bootstrap,
        extrapolate_to_infinite_patients,
        permutation_test,
    )

__all__ = [
    "EXAMPLES",
    "Atoms",
    "Bins",
    "FewSamples",
    "Interval",
    "Lattice",
    "binned_counts",
    "binned_mutual_information",
    "bootstrap",
    "broja",
    "conditional_mutual_information_bias",
    "entropy",
    "equal_frequency",
    "equal_width",
    "extrapolate_to_infinite_patients",
    "gaussian_copula_mutual_information",
    "gaussian_mutual_information",
    "joint_counts",
    "ksg_mutual_information",
    "mutual_information",
    "mutual_information_bias",
    "normalised_mutual_information",
    "permutation_test",
    "plugin_conditional_mutual_information",
    "plugin_mutual_information",
    "plugin_normalised_mutual_information",
    "plugin_pointwise_information",
    "pointwise_information_map",
    "quadratic_extrapolation",
    "specific_information",
    "table_mutual_information",
    "target_counts",
    "williams_beer",
]

_MODULES = ("broja", "williams_beer")
"""Exported modules of ``adumbra.information.pid``; every other name is an attribute of its home."""

_HOMES = {
    "estimators.bias": (
        "FewSamples",
        "conditional_mutual_information_bias",
        "mutual_information_bias",
        "quadratic_extrapolation",
    ),
    "estimators.binning": ("Bins", "equal_frequency", "equal_width"),
    "estimators.gaussian_copula": ("gaussian_copula_mutual_information", "gaussian_mutual_information"),
    "estimators.histogram": ("binned_counts", "joint_counts", "target_counts"),
    "estimators.ksg": ("ksg_mutual_information",),
    "estimators.mutual_information": (
        "binned_mutual_information",
        "mutual_information",
        "normalised_mutual_information",
    ),
    "estimators.plugin": (
        "plugin_conditional_mutual_information",
        "plugin_mutual_information",
        "plugin_normalised_mutual_information",
        "plugin_pointwise_information",
    ),
    "estimators.pointwise": ("pointwise_information_map",),
    "pid.atoms": ("Atoms",),
    "pid.examples": ("EXAMPLES",),
    "pid.lattice": ("Lattice",),
    "shannon": ("entropy", "specific_information", "table_mutual_information"),
    "significance": ("Interval", "bootstrap", "extrapolate_to_infinite_patients", "permutation_test"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"adumbra.information.pid.{name}")
    if name in _HOME_OF:
        return getattr(import_module(f"adumbra.information.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
