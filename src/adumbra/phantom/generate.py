"""Generates a phantom from one seed: the simulated images of a stroke with their ground truth."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.ground_truth import GroundTruth
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Modality
from adumbra.phantom.annotator import sample_convention
from adumbra.phantom.ground_truth import ANNOTATOR, ClotContours, contours_of, ground_truths
from adumbra.phantom.pathology.lesion import LesionShape
from adumbra.phantom.patient import SimulatedPatient, simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner.setup import ScannerSetup


@dataclass(frozen=True, eq=False)
class Phantom:
    """A simulated stroke.

    Attributes:
        case: The acquired scans, and the masks ``lesion``, ``thrombus`` and ``hypoperfusion``, each on the grid of its
            reference modality.
        truths: All ground truth.
        stored: Encoding of ``adc`` and ``phase`` in files.
        parameters: All sampled parameters, JSON-serialisable.
    """

    case: Case
    truths: tuple[GroundTruth, ...]
    stored: Mapping[Modality, str]
    parameters: Mapping[str, object]

    @property
    def annotations(self) -> tuple[Scan, ...]:
        """The lesion as each simulated annotator segments it, masks on the grid of the DWI.

        Empty for a preset without several annotators. Masks of a healthy head contain no voxel.
        """
        return tuple(t.scan for t in self.truths if t.name.startswith(ANNOTATOR))

    @property
    def brain(self) -> Scan | None:
        """The brain on the grid of the DWI; None for a preset without several annotators."""
        return next((t.scan for t in self.truths if t.name == "brain"), None)


def generate(
    seed: int, *, preset_name: str = "monocentric", lesion_shape: LesionShape | None = None, name: str | None = None
) -> Phantom:
    """Generates the phantom of a seed.

    Args:
        seed: Seed of every random choice; the same seed gives the same bytes.
        preset_name: A key of ``presets.PRESETS``.
        lesion_shape: A real lesion in MNI space. Half of the infarcts take its shape where one is given.
        name: Name of the case; ``sub-phantom<seed>`` by default.

    Raises:
        InputRejected: There is no such preset.
    """
    patient = simulate_patient(seed, preset=preset_named(preset_name), lesion_shape=lesion_shape)
    return phantom_from(patient, seed, preset_name, name)


def phantom_from(patient: SimulatedPatient, seed: int, preset_name: str, name: str | None = None) -> Phantom:
    """The phantom of a simulated patient: scans, ground truth and sampled parameters.

    Args:
        patient: The simulated patient.
        seed: The seed of the patient.
        preset_name: Name of the patient's preset.
        name: Name of the case; ``sub-phantom<seed>`` by default.
    """
    level = float(stream(seed, "rater").uniform(0.2, 0.5))
    count = 0 if patient.preset.randomised is None else patient.preset.randomised.annotators
    conventions = tuple(sample_convention(stream(seed, f"convention {n}")) for n in range(count))
    truths = ground_truths(patient, level=level, annotators=conventions)
    what = f"Simulated from seed {seed}; a phantom, not a patient"
    note = Conversion("phantom.generate", "case", what, {"seed": seed, "simulated": True})
    scans = {m: s for a in patient.acquisitions.values() for m, s in a.scans.items() if m in patient.setup.sequences}
    case = Case(name or f"sub-phantom{seed:06d}", scans, _target_masks(truths), (note,))
    parameters = {"seed": seed, "preset": preset_name, "rater_level": level} | _parameters(patient)
    if patient.quality is not None:
        parameters |= {
            "quality": asdict(patient.quality),
            "infarct_contrast": patient.infarct_contrast,
            "annotators": [asdict(convention) for convention in conventions],
        }
    return Phantom(case, truths, patient.setup.stored, parameters)


def _target_masks(truths: tuple[GroundTruth, ...]) -> dict[str, Scan]:
    """The mask of each target on the first of its reference modalities that was acquired."""
    masks = {(t.name, t.space): t.scan for t in truths if t.kind == "mask"}
    candidates = {
        target: [masks[target, space] for space in spec.reference_modalities if (target, space) in masks]
        for target, spec in TARGET_SPECS.items()
    }
    return {target: scans[0] for target, scans in candidates.items() if scans}


def _parameters(patient: SimulatedPatient) -> dict[str, object]:
    """The sampled parameters of a patient and its examination."""
    disease, setup = patient.disease, patient.setup
    parameters: dict[str, object] = {
        "pattern": disease.pattern,
        "lesion_mask": disease.lesion_shape,
        "stage": asdict(disease.stage),
        "head": dict(patient.head_parameters),
        "tesla": setup.tesla,
        "setup": asdict(setup),
        "tissues": {n: asdict(t) for n, t in patient.body.tissues.items()},
        "acquired": {n: dict(a.parameters) for n, a in patient.acquisitions.items()},
        "sequences": _sidecar_fields(setup),
    }
    stroke = disease.stroke
    if patient.vessels is not None and stroke is not None:
        parameters["variants"] = patient.vessels.variants
        parameters["collateral_grade"] = stroke.collaterals.grade
        parameters["hours_closed"], parameters["is_open"] = stroke.hours_closed, stroke.is_open
        parameters["clots"] = [
            {
                "site": c.site,
                "length_mm": c.length_mm,
                "centre_line_mm": np.round(c.points_mm, 2).tolist(),
                "volume_ml": c.volume_ml,
                "red": c.red,
                "layered": c.layered,
                "oxygenation": c.oxygenation,
                "vessel_sign": c.has_vessel_sign,
                "visible_on": where,
            }
            for c, where in zip(stroke.clots, _visible_on(patient), strict=True)
        ]
    return parameters


def _visible_on(patient: SimulatedPatient) -> tuple[str, ...]:
    """Where an expert sees each clot: on SWI, on TOF, or nowhere.

    SWI is the reference. TOF counts for a clot only where there is no SWI, or where half of the clot lies outside
    its field of view.
    """
    assert patient.disease.stroke is not None
    swi, tof = (_expert(patient, space) for space in ("swi", "tof"))
    visible_on = []
    for number in range(len(patient.disease.stroke.clots)):
        where = "" if swi is None else swi.visible_on[number]
        if not where and tof is not None and (swi is None or not swi.covered[number]):
            where = tof.visible_on[number]
        visible_on.append(where)
    return tuple(visible_on)


def _expert(patient: SimulatedPatient, space: str) -> ClotContours | None:
    """The contours of the expert on an image; None where it was not acquired."""
    acquired = space in patient.acquisitions and space in patient.setup.sequences
    return contours_of(patient, space)[0] if acquired else None


def _sidecar_fields(setup: ScannerSetup) -> dict[Modality, dict[str, object]]:
    """The BIDS side-car fields of each sequence; times in seconds."""
    field: dict[str, object] = {"MagneticFieldStrength": setup.tesla}
    diffusion, echo, tof = setup.diffusion, setup.gradient_echo, setup.angiography
    spin_echo = field | {"EchoTime": diffusion.te_dwi_ms / 1000}
    flair = {
        "EchoTime": diffusion.te_flair_ms / 1000,
        "InversionTime": diffusion.ti_flair_ms / 1000,
        "RepetitionTime": diffusion.tr_flair_ms / 1000,
    }
    gradient_echo = {
        "RepetitionTime": echo.tr_ms / 1000,
        "FlipAngle": echo.flip_deg,
        "EchoTime": echo.te_ms[-1] / 1000,
    }
    angiography = {"EchoTime": tof.te_ms / 1000, "RepetitionTime": tof.tr_ms / 1000, "FlipAngle": tof.flip_deg}
    return {
        "dwi": spin_echo | {"TotalReadoutTime": setup.readout_s},
        "adc": dict(field),
        "b0": dict(spin_echo),
        "flair": field | flair,
        "swi": field | gradient_echo,
        "phase": field | gradient_echo,
        "tof": field | angiography,
    }
