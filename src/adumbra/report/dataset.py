"""A made case as a raw BIDS data set with its truths: each sequence on its own voxels and in the units of some scanner.

A truth that a reader takes for the outline of its target has no ``space-`` in its name; all others say where they lie.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from adumbra.core.case import Case, Scan
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.geometry.grid import Grid, reoriented
from adumbra.core.geometry.resampling import resampled
from adumbra.core.ground_truth import REFERENCE_MODALITIES, GroundTruth
from adumbra.core.phase_encodings import ADC_POWERS, PHASES, PhaseEncoding, hertz, stored_of
from adumbra.core.types import Modality
from adumbra.report.bids import BIDS_VERSION, NAME, json_bytes
from adumbra.report.staging import published
from adumbra.report.volumes import Stored, stored_exactly, stored_in_steps, volume_bytes

# Where a sequence lies in BIDS 1.10: folder and suffix.
SUFFIX: Mapping[Modality, tuple[str, str]] = {
    "dwi": ("dwi", "trace"),
    "adc": ("dwi", "ADC"),
    "b0": ("dwi", "S0map"),
    "flair": ("anat", "FLAIR"),
    "swi": ("anat", "part-mag_T2starw"),
    "phase": ("anat", "part-phase_T2starw"),
    "tof": ("anat", "acq-tof_angio"),
}
TRUTH, ATLAS = "derivatives/truth", "tpl-MNI152NLin2009aSym"
# Of maps, in their units: far below what matters of them, and their largest values are within 32767 of it.
STEPS: Mapping[str, float] = {"tmax": 0.01, "chi": 0.001, "field": 0.0005}
IGNORED = ("*map.nii.gz", "*map.json", "tpl-*")
"""Of the truths, what BIDS 1.10 has no name for: Tmax and the field (and χ, which it has one for)."""
_DRAWN = {"Manufacturer": NAME, "Description": "Drawn by a simulator; not a patient"}

README = """# Phantom strokes

Drawn by Adumbra's simulator. **A phantom is not a patient**: a figure measured here says what a method does on the
phantom, and nothing about a clinic. Each subject is drawn from one seed, which the side-cars of its truths hold with
every other number that was drawn.

- `dwi/*_trace`, `*_ADC`, `*_S0map`, `anat/*_FLAIR`, `*_part-mag_T2starw`, `*_part-phase_T2starw`, `*_acq-tof_angio`: as
  the scanner gives them, each on its own voxels. ADC and phase come in the units that scanners write: the side-cars say
  which (`Units`, and `StoredAs` of a phase).
- `derivatives/truth`: what is known of each subject. An outline without `space-` in its name is what a rater sees on
  the DWI (`label-lesion`, `label-hypoperfusion`) or on the T2*-weighted image (`label-thrombus`); `space-DWI`,
  `space-TOF` and so on lie on another sequence, moved and distorted as it was; `space-phantom` is the head as it was
  drawn. `_mask` is an outline, `_probseg` a share of each voxel, `_dseg` labels with their names in the `.tsv`,
  `_Tmaxmap` in s, `_Chimap` and `_Fieldmap` in ppm. `tpl-MNI152NLin2009aSym` holds the atlas of arterial territories.
"""


def write_phantom(
    case: Case,
    truths: Sequence[GroundTruth],
    stored: Mapping[Modality, str],
    parameters: Mapping[str, object],
    out: Path,
    *,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Writes one drawn case below the data set's root.

    Args:
        case: Its scans, in the units of ``adumbra.core.types``, phase in radians within ±π.
        truths: What is known; one volume of each name, space and kind.
        stored: How files hold a modality: ``phase`` as one of ``encodings.PHASES`` or in ``"Hz"``, ``adc`` in one of
            ``encodings.ADC_POWERS``; radians and 10⁻³ mm²/s where nothing is said.
        parameters: Everything that was drawn. ``parameters["sequences"][modality]`` holds fields by their BIDS names
            (``EchoTime`` in s), which go into the side-car of the image; a phase has those of its magnitude too.
        out: Root of the data set.
        overwrite: Replace the case where it is there.

    Returns:
        The paths; the outlines that readers look for are the last.

    Raises:
        OutputRefused: The case is there already, or the folder cannot be written.
        AmbiguousInput: ``stored`` names no encoding of the modality.
        MissingInput: A phase in Hz, and no echo time.
    """
    files: dict[str, bytes] = {}
    for modality, scan in case.scans.items():
        fields = _fields(parameters, modality)
        image, about = _encoded(modality, scan, stored.get(modality), fields)
        stem = _stem(case, modality)
        files[f"{stem}.nii.gz"] = volume_bytes(image, scan.native)
        files[f"{stem}.json"] = json_bytes({**_DRAWN, **fields, **_DRAWN, **about})
    for truth in sorted(truths, key=lambda truth: (_is_outline(truth, case), truth.kind == "mask")):
        files |= _truth_files(truth, case, parameters)
    return published(files, out, overwrite=overwrite)


def write_description(out: Path, *, seed: int) -> None:
    """Writes what a BIDS data set has once: its description and that of its truth."""
    maker = {"Name": NAME, "Version": version("adumbra")}
    about = {"Name": "Adumbra phantom strokes", "BIDSVersion": BIDS_VERSION, "GeneratedBy": [maker], "Seed": seed}
    derived = about | {"DatasetType": "derivative", "DatasetLinks": {"raw": "../.."}}
    files = {
        "README.md": README.encode(),
        "dataset_description.json": json_bytes(about | {"DatasetType": "raw", "License": "CC0"}),
        f"{TRUTH}/.bidsignore": ("\n".join(IGNORED) + "\n").encode(),
        f"{TRUTH}/dataset_description.json": json_bytes(derived),
    }
    published(files, out, overwrite=True)


def write_atlas(labels: np.ndarray, grid: Grid, names: Mapping[int, str], out: Path) -> None:
    """Writes the arterial territories of the phantom's own atlas, in MNI152NLin2009aSym, beside the truths."""
    stem = f"{TRUTH}/{ATLAS}/{ATLAS}_res-2_desc-territories_dseg"
    rows = ["index\tname", *(f"{index}\t{name}" for index, name in sorted(names.items()))]
    about = {"Description": "Arterial territory of each voxel: the phantom's vessels, grown into the template"}
    files = {
        f"{stem}.nii.gz": volume_bytes(Stored(labels.astype(np.int16)), grid),
        f"{stem}.tsv": ("\n".join(rows) + "\n").encode(),
        f"{stem}.json": json_bytes(about | {"Labels": dict(sorted(names.items()))}),
    }
    published(files, out, overwrite=True)


def _stem(case: Case, modality: Modality) -> str:
    (folder, suffix), b = SUFFIX[modality], case.scans[modality].b_value
    weighting = f"acq-b{b:.0f}_" if modality == "dwi" and b else ""
    return f"{case.name}/{folder}/{case.name}_{weighting}{suffix}"


def _fields(parameters: Mapping[str, object], modality: Modality) -> dict[str, object]:
    """The side-car fields of a sequence; of a phase, those of the magnitude that it was measured with as well."""
    sequences = parameters.get("sequences")
    if not isinstance(sequences, Mapping):
        return {}
    told = [sequences.get(name) for name in (("swi", "phase") if modality == "phase" else (modality,))]
    return {str(key): value for fields in told if isinstance(fields, Mapping) for key, value in fields.items()}


def _encoded(
    modality: Modality, scan: Scan, how: str | None, fields: Mapping[str, object]
) -> tuple[Stored, dict[str, object]]:
    """What a file holds of a scan, on the voxels as they are stored, and what its side-car says of that."""
    values = _on_native(scan, nearest=modality == "phase")
    if modality == "phase":
        name = how or "rad"
        encoding = _phase_encoding(scan, name, fields)
        # BIDS allows two words for the unit of a phase, and refuses any other.
        about: dict[str, object] = {"Units": "rad" if name == "rad" else "arbitrary", "StoredAs": name}
        return Stored(stored_of(values, encoding), encoding.slope, encoding.intercept), about
    if modality == "adc":
        name = how or "10⁻³"
        _require_known("adc", name, ADC_POWERS)
        power = ADC_POWERS[name]
        unit = f"10^{power} mm^2/s" if power else "mm^2/s"
        scaled = values if power == -3 else values * np.float32(10.0 ** (-3 - power))
        return (stored_in_steps(scaled, 1.0) if power == -6 else Stored(scaled)), {"Units": unit}
    return stored_exactly(values), {"DiffusionBValue": scan.b_value} if modality == "dwi" else {}


def _phase_encoding(scan: Scan, name: str, fields: Mapping[str, object]) -> PhaseEncoding:
    _require_known("phase", name, (*PHASES, "Hz"))
    if name != "Hz":
        return PHASES[name]
    echo_time_s = fields.get("EchoTime")
    if not isinstance(echo_time_s, int | float):
        do = 'put it into parameters["sequences"]["phase"]'
        raise MissingInput(scan.source or "phase", expected="EchoTime in s of a phase in Hz", found="none", do=do)
    return hertz(echo_time_s)


def _require_known(modality: Modality, name: str, names: Iterable[str]) -> None:
    if name not in names:
        expected = f"one of {', '.join(names)}"
        raise AmbiguousInput(f"stored[{modality!r}]", expected=expected, found=repr(name), do="choose one of these")


def _is_outline(truth: GroundTruth, case: Case) -> bool:
    """Whether a reader must find here what its target is outlined as."""
    wanted = {str(target): modalities for target, modalities in REFERENCE_MODALITIES.items()}.get(truth.name, ())
    home = next((modality for modality in wanted if modality in case.scans), None)
    return truth.space == home


def _truth_files(truth: GroundTruth, case: Case, parameters: Mapping[str, object]) -> dict[str, bytes]:
    where = truth.space if truth.space == "phantom" else truth.space.upper()
    space = "" if _is_outline(truth, case) else f"_space-{where}"
    folder = "anat" if truth.space == "phantom" else SUFFIX[truth.space][0]
    stem = f"{TRUTH}/{case.name}/{folder}/{case.name}{space}_{_truth_name(truth)}"
    files = {f"{stem}.json": json_bytes(_truth_side_car(truth, case) | {"Drawn": parameters})}
    if truth.kind == "dseg":
        rows = ["index\tname", *(f"{index}\t{name}" for index, name in sorted(truth.labels.items()))]
        files[f"{stem}.tsv"] = ("\n".join(rows) + "\n").encode()
    return files | {f"{stem}.nii.gz": volume_bytes(_stored_truth(truth), truth.scan.native)}


def _truth_name(truth: GroundTruth) -> str:
    """The last entity and the suffix; BIDS has no ``label-`` for a ``_dseg``."""
    if truth.kind == "map":
        return f"{truth.name.capitalize()}map"
    return f"{'desc' if truth.kind == 'dseg' else 'label'}-{truth.name}_{truth.kind}"


def _truth_side_car(truth: GroundTruth, case: Case) -> dict[str, object]:
    about: dict[str, object] = {"Description": truth.about or f"The {truth.name} as it was drawn"}
    if truth.space == "phantom":
        about["SpatialReference"] = "The head as it was drawn, at rest and undistorted"
    elif truth.space in case.scans:
        about["SpatialReference"] = f"bids:raw:{_stem(case, truth.space)}.nii.gz"
    else:
        about["SpatialReference"] = f"The {truth.space}, which this case lacks"
    if truth.kind == "mask":
        about["Type"] = "Lesion" if truth.name == "lesion" else "ROI"
    if truth.unit:
        about["Units"] = truth.unit
    if truth.labels:
        about["Labels"] = dict(sorted(truth.labels.items()))
    return about


def _stored_truth(truth: GroundTruth) -> Stored:
    values = _on_native(truth.scan, nearest=truth.kind == "dseg")
    if truth.kind == "dseg":
        return Stored(values.astype(np.int16))
    if truth.kind == "map" and truth.name in STEPS:
        return stored_in_steps(values, STEPS[truth.name])
    return Stored(values.astype(np.uint8 if truth.kind == "mask" else np.float32))


def _on_native(scan: Scan, *, nearest: bool) -> np.ndarray:
    """The values on the grid as it is stored: axes turned and no more, unless the scan was resampled since."""
    turned, grid = reoriented(scan.data, scan.grid, scan.native.axcodes)
    if grid.coincides(scan.native):
        return turned
    return resampled(scan.data, scan.grid, scan.native, interpolation="nearest" if nearest else "linear")
