"""A head of 5 cm, an untrained first pass with arteries, veins and flow, and a tiny second look."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from adumbra.core.case import Case, scan_from_array
from adumbra.core.options import InferenceConfig
from adumbra.core.types import STRUCTURES
from adumbra.networks.registry import network_of
from adumbra.networks.second_look import SecondLookConfig
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.weights import save_weights
from adumbra.segmentation_model import load_model
from adumbra.training.config import OptimiserConfig, RuntimeConfig
from adumbra.training.second_look.config import SecondLookTraining
from adumbra.training.second_look.examples import searched_case
from adumbra.training.second_look.untrained import model_with_untrained_look

SHAPE, AFFINE = (25, 25, 25), np.diag([2.0, 2.0, 2.0, 1.0])
LOOK = SecondLookConfig(
    modalities=("swi", "tof"), widths=(4, 8, 8), mirrored=False, low=0.2, peak=0.3, most=4
)  # fmt: skip


@dataclass(frozen=True)
class Head:
    """A case in memory.

    Attributes:
        name: Its name.
        case: The case.
    """

    name: str
    case: Case

    def open(self) -> Case:
        return self.case


def head(number, clot=None):
    """A head of noise; the clot is at these voxels."""
    rng = np.random.default_rng(number)
    index = np.indices(SHAPE).transpose(1, 2, 3, 0)
    brain = np.linalg.norm(index - 12.0, axis=-1) < 10
    truth = np.zeros(SHAPE, dtype=bool)
    if clot is not None:
        truth[tuple(clot.T)] = True
    images = {m: (brain * 100 + rng.gamma(2.0, 10.0, SHAPE)).astype(np.float32) for m in ("swi", "tof")}
    scans = {m: scan_from_array(image, AFFINE) for m, image in images.items()}
    masks = {"thrombus": scan_from_array(truth, AFFINE), "brain": scan_from_array(brain, AFFINE)}
    name = f"sub-phantom99n{number:05d}"
    return Head(name, Case(name, scans, masks))


@pytest.fixture(autouse=True, scope="package")
def one_torch_thread(two_torch_threads):
    """Tiny tensors are not worth a second thread."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(2)


@pytest.fixture(scope="package")
def training():
    """A training of eight steps on cubes of 16 voxels of 1 mm."""
    return SecondLookTraining(
        network=LOOK,
        spacing_mm=1.0,
        side=16,
        batch=2,
        held_out=1,
        optimiser=OptimiserConfig(steps=8, warmup=2),
        runtime=RuntimeConfig(threads=1, checkpoint_every=4, validate_every=4, precision="f32"),
    )


@pytest.fixture(scope="package")
def first_weights(tmp_path_factory):
    torch.manual_seed(2)
    config = StridedUNetConfig(("swi", "tof"), ("thrombus", *STRUCTURES), widths=(4, 8, 8), dropout=0.0)
    network = network_of(config)
    with torch.no_grad():
        network.decoder.head.weight *= 6.0
    facts = {"architecture": "strided-unet", "config": config.as_json(), "spacing_mm": 2.0, "patch": 16}
    path = tmp_path_factory.mktemp("first") / "first.safetensors"
    save_weights(path, network.state_dict(), {**facts, "threshold": 0.3, "training": {}})
    return path


@pytest.fixture(scope="package")
def config(first_weights):
    return InferenceConfig(weights=first_weights, registration="never", calibration="none", draws=3)


@pytest.fixture(scope="package")
def model(config, training):
    """The first pass with an untrained second look."""
    return model_with_untrained_look(load_model("thrombus", replace(config, second_look="none")), training)


@pytest.fixture(scope="package")
def heads(model):
    """Four heads, of which every other one has a clot where the first pass has its first candidate."""
    first = [searched_case(head(number), model).candidates[0].voxels for number in range(4)]
    return [head(number, first[number] if number % 2 == 0 else None) for number in range(4)]
