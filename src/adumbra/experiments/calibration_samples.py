"""What a calibration needs of one predicted case, and files of it, so that each case is predicted once."""

import json
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from adumbra.core.atomic_io import write_atomically
from adumbra.core.case import Case
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.evaluation.segmentation.overlap import dice
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.pipeline import predict_case
from adumbra.preprocessing.pipeline import reference_modality
from adumbra.segmentation_model import SegmentationModel
from adumbra.uncertainty.calibration.conformal import false_negative_rates
from adumbra.uncertainty.calibration.samples import Voxels, sample_voxels
from adumbra.uncertainty.calibration.volume_fit import CalibrationCase

_MAX_VOXELS = 20_000  # voxels of a case, half of them of the target where it has so many

_WITHOUT_EFFECT = ("weights", "compute", "calibration", "second_look")  # paths, hardware, what a sample is made without


@dataclass(frozen=True, eq=False)
class CaseSample:
    """What a calibration needs of one case.

    Attributes:
        case: Features and truth.
        voxels: A sample of the voxels of its brain.
        rates: False-negative rate at each of ``conformal.THRESHOLDS``; nan throughout without the target.
        sha256: Hash of the scan that the mask lies on; empty if it was never a file.
    """

    case: CalibrationCase
    voxels: Voxels
    rates: np.ndarray
    sha256: str


def sample_of(case: Case, model: SegmentationModel, *, generator: np.random.Generator) -> CaseSample:
    """Predicts a case and takes what a calibration needs.

    Args:
        case: A case with a true mask of the model's target.
        model: A model without a calibration.
        generator: Samples the voxels.

    Raises:
        MissingInput: The case has no true mask.
        InputRejected: The case cannot be predicted.
    """
    if case.truth(model.target) is None:
        raise MissingInput(
            case.name, expected=f"a mask of the {model.target}", found="none", do="leave the case out, or segment it"
        )
    prediction = predict_case(case, model)
    truth, maps = prediction.case.masks[model.target].data, prediction.maps
    assert prediction.features is not None
    fitted = CalibrationCase(
        case.name,
        prediction.features,
        float(np.count_nonzero(truth)) * maps.grid.voxel_ml,
        dice(MaskPair(maps.mask, truth, maps.grid)),
    )
    voxels = sample_voxels(
        maps.probability, truth, case=case.name, within=prediction.case.masks["brain"].data, most=_MAX_VOXELS,
        generator=generator,
    )  # fmt: skip
    scan = case.scan(reference_modality(case, model.target))
    return CaseSample(fitted.rounded(), voxels, false_negative_rates(maps.probability, truth), scan.sha256)


def model_identity(model: SegmentationModel) -> dict[str, object]:
    """What samples depend on: the weights, the posterior and the settings of the prediction, as plain values."""
    settings = {name: value for name, value in asdict(model.config).items() if name not in _WITHOUT_EFFECT}
    facts = {
        "target": model.target,
        "posterior": model.posterior_name,
        "weights": [network.card.sha256 for network in model.networks],
        "thresholds": list(model.network_thresholds),
    }
    if model.second_look is not None:
        look = model.second_look
        facts["second_look"] = [network.card.sha256 for network in look.networks]
        if look.calibration is not None:
            facts["decision"] = [look.calibration.threshold, look.calibration.vein_excess]
    identity: dict[str, object] = json.loads(json.dumps(settings | facts, default=str))
    return identity


def write_sample(path: Path, sample: CaseSample, identity: dict[str, object]) -> None:
    """Writes a sample atomically as ``.npz``.

    Raises:
        OutputRefused: The file cannot be written.
    """
    facts = {"identity": identity, "case": sample.case.as_json(), "sha256": sample.sha256}
    buffer, voxels = BytesIO(), sample.voxels
    np.savez_compressed(
        buffer, facts=np.array(json.dumps(facts)), probability=voxels.probability, truth=voxels.truth,
        weight=voxels.weight, rates=sample.rates, allow_pickle=False,
    )  # fmt: skip
    write_atomically(path, buffer.getvalue())


def read_sample(path: Path, identity: dict[str, object]) -> CaseSample:
    """Reads a sample.

    Raises:
        InputRejected: It was made with other weights or settings.
    """
    with np.load(path, allow_pickle=False) as stored:
        facts = json.loads(str(stored["facts"]))
        if facts["identity"] != identity:
            raise InputRejected(
                path.name,
                expected=f"a sample of {identity}",
                found=f"one of {facts['identity']}",
                do="use another folder for these weights and settings",
            )
        case = CalibrationCase.from_json(facts["case"])
        bands = np.zeros(stored["probability"].size, dtype=np.int8)
        voxels = Voxels(stored["probability"], stored["truth"], stored["weight"], bands, (case.name,))
        return CaseSample(case, voxels, stored["rates"], facts["sha256"])
