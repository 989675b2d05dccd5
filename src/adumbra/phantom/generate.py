"""One seed, one stroke: what a scanner makes of a head with a clot in it, and all that is known of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.ground_truth import REFERENCE_MODALITIES, GroundTruth
from adumbra.core.types import Modality
from adumbra.phantom.ground_truth import ground_truths
from adumbra.phantom.pathology.lesion import LesionShape
from adumbra.phantom.patient import SimulatedPatient, simulate_patient
from adumbra.phantom.presets import Setup, preset
from adumbra.phantom.rng import stream


@dataclass(frozen=True, eq=False)
class Phantom:
    """A drawn stroke.

    Attributes:
        case: The scans that were made, and the masks ``lesion``, ``thrombus`` and ``hypoperfusion``, each on the slices
            on which raters outline it.
        truths: Everything that is known.
        stored: How files hold ``adc`` and ``phase``.
        parameters: Everything that was drawn, JSON-serialisable.
    """

    case: Case
    truths: tuple[GroundTruth, ...]
    stored: Mapping[Modality, str]
    parameters: Mapping[str, object]


def generate(
    seed: int, *, preset_name: str = "monocentric", lesion_shape: LesionShape | None = None, name: str | None = None
) -> Phantom:
    """A stroke drawn from one seed.

    Args:
        seed: Of every random choice; the same seed gives the same bytes.
        preset_name: Of ``presets.PRESETS``.
        lesion_shape: A real lesion's outline in MNI space; half of the infarcts that get one take its shape.
        name: Of the case; ``sub-phantom<seed>`` unless given.

    Raises:
        InputRejected: There is no such preset.
    """
    return phantom_of(
        simulate_patient(seed, plan=preset(preset_name), lesion_shape=lesion_shape), seed, preset_name, name
    )


def phantom_of(made: SimulatedPatient, seed: int, preset_name: str, name: str | None = None) -> Phantom:
    """A phantom from its stages: the scans, what is known of them, and what was drawn."""
    level = float(stream(seed, "rater").uniform(0.2, 0.5))
    truths = ground_truths(made, level=level)
    said = Conversion("phantom.generate", "case", f"Drawn from seed {seed}; a phantom, not a patient", {"seed": seed})
    scans = {m: s for a in made.acquired.values() for m, s in a.scans.items() if m in made.setup.sequences}
    case = Case(name or f"sub-phantom{seed:06d}", scans, _masks(truths), (said,))
    about = {"seed": seed, "preset": preset_name, "rater_level": level} | _parameters(made)
    return Phantom(case, truths, made.setup.stored, about)


def _masks(truths: tuple[GroundTruth, ...]) -> dict[str, Scan]:
    outlines = {(t.name, t.space): t.scan for t in truths if t.kind == "mask"}
    made = {n: [outlines[n, s] for s in spaces if (n, s) in outlines] for n, spaces in REFERENCE_MODALITIES.items()}
    return {name: scans[0] for name, scans in made.items() if scans}


def _parameters(made: SimulatedPatient) -> dict[str, object]:
    disease, setup = made.disease, made.setup
    about: dict[str, object] = {
        "pattern": disease.pattern,
        "outline": disease.lesion_shape,
        "stage": asdict(disease.since),
        "head": dict(made.about_head),
        "tesla": setup.tesla,
        "setup": asdict(setup),
        "tissues": {n: asdict(t) for n, t in made.body.tissues.items()},
        "acquired": {n: dict(a.drawn) for n, a in made.acquired.items()},
        "sequences": _headers(setup),
    }
    happened = disease.stroke
    if made.vessels is not None and happened is not None:
        about["variants"] = made.vessels.variants
        about["collateral_grade"] = happened.collaterals.grade
        about["hours_closed"], about["is_open"] = happened.hours_closed, happened.is_open
        about["clots"] = [
            {
                "site": c.site,
                "length_mm": c.length_mm,
                "volume_ml": c.volume_ml,
                "red": c.red,
                "layered": c.layered,
                "oxygenation": c.oxygenation,
                "vessel_sign": c.has_vessel_sign,
            }
            for c in happened.clots
        ]
    return about


def _headers(setup: Setup) -> dict[Modality, dict[str, object]]:
    """What the side-car of each sequence says, by the names of BIDS; times in seconds."""
    field: dict[str, object] = {"MagneticFieldStrength": setup.tesla}
    p, echo, tof = setup.diffusion, setup.gradient_echo, setup.angiography
    spin = field | {"EchoTime": p.te_dwi_ms / 1000}
    flair = {
        "EchoTime": p.te_flair_ms / 1000,
        "InversionTime": p.ti_flair_ms / 1000,
        "RepetitionTime": p.tr_flair_ms / 1000,
    }
    common = {"RepetitionTime": echo.tr_ms / 1000, "FlipAngle": echo.flip_deg, "EchoTime": echo.te_ms[-1] / 1000}
    angio = {"EchoTime": tof.te_ms / 1000, "RepetitionTime": tof.tr_ms / 1000, "FlipAngle": tof.flip_deg}
    return {
        "dwi": spin | {"TotalReadoutTime": setup.readout_s},
        "adc": dict(field),
        "b0": dict(spin),
        "flair": field | flair,
        "swi": field | common,
        "phase": field | common,
        "tof": field | angio,
    }
