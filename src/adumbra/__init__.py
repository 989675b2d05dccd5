"""Adumbra segments thrombus and ischemic lesion in stroke MRI and maps the uncertainty of every voxel.

Research use only, not for diagnosis. The names below are the public API. Each is imported when it is first used, so
that ``import adumbra`` is fast and loads no torch. Start reading the code in ``adumbra/pipeline.py``.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adumbra.assessment import assess
    from adumbra.blur.focused_blur import focused_blur
    from adumbra.cases.registry import find_cases, open_case
    from adumbra.core.case import Case, Scan
    from adumbra.core.clinical_facts import ClinicalFacts
    from adumbra.core.options import ComputeConfig, InferenceConfig, InputOptions
    from adumbra.core.results import Findings, Maps, Prediction
    from adumbra.evaluation.segmentation.comparison import scores as evaluate
    from adumbra.experiments.calibration import calibrate
    from adumbra.information.decompose import pid
    from adumbra.information.estimators.mutual_information import mutual_information
    from adumbra.networks.registry import load as load_weights
    from adumbra.pipeline import predict, predict_case
    from adumbra.segmentation_model import load_model
    from adumbra.simulation.cohort import simulate, simulate_case
    from adumbra.training.loop import train
    from adumbra.training.presets import config_for as training_config

__version__ = version("adumbra")

_HOMES = {
    "Case": "adumbra.core.case",
    "ClinicalFacts": "adumbra.core.clinical_facts",
    "ComputeConfig": "adumbra.core.options",
    "Findings": "adumbra.core.results",
    "InferenceConfig": "adumbra.core.options",
    "InputOptions": "adumbra.core.options",
    "Maps": "adumbra.core.results",
    "Prediction": "adumbra.core.results",
    "Scan": "adumbra.core.case",
    "assess": "adumbra.assessment",
    "calibrate": "adumbra.experiments.calibration",
    "evaluate": "adumbra.evaluation.segmentation.comparison:scores",
    "find_cases": "adumbra.cases.registry",
    "focused_blur": "adumbra.blur.focused_blur",
    "load_model": "adumbra.segmentation_model",
    "load_weights": "adumbra.networks.registry:load",
    "mutual_information": "adumbra.information.estimators.mutual_information",
    "open_case": "adumbra.cases.registry",
    "pid": "adumbra.information.decompose",
    "predict": "adumbra.pipeline",
    "predict_case": "adumbra.pipeline",
    "simulate": "adumbra.simulation.cohort",
    "simulate_case": "adumbra.simulation.cohort",
    "train": "adumbra.training.loop",
    "training_config": "adumbra.training.presets:config_for",
}
"""Module of each public name; ``module:name`` where the module has it under another name."""

__all__ = [
    "Case",
    "ClinicalFacts",
    "ComputeConfig",
    "Findings",
    "InferenceConfig",
    "InputOptions",
    "Maps",
    "Prediction",
    "Scan",
    "__version__",
    "assess",
    "calibrate",
    "evaluate",
    "find_cases",
    "focused_blur",
    "load_model",
    "load_weights",
    "mutual_information",
    "open_case",
    "pid",
    "predict",
    "predict_case",
    "simulate",
    "simulate_case",
    "train",
    "training_config",
]


def __getattr__(name: str) -> object:
    """Imports a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'adumbra' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
