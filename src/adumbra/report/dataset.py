"""A simulated case as a raw BIDS data set with its ground truth.

Each sequence lies on its own voxels, in the units of some scanner. The ground truth that readers use as the mask of its
target has no ``space-`` in its name. The names of all others say where they lie.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.case import Case, Scan
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.geometry.resampling import resample
from adumbra.core.ground_truth import GroundTruth
from adumbra.core.phase_encodings import ADC_POWERS, PHASES, PhaseEncoding, hertz, stored_of
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Modality
from adumbra.report.bids import BIDS_VERSION, NAME, json_bytes
from adumbra.report.volumes import StoredVolume, stored_exactly, stored_in_steps, volume_bytes

# Folder and suffix of each sequence in BIDS 1.10.
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
# Quantisation step of each map, in its unit. It is below any relevant difference, and int16 holds the largest value.
STEPS: Mapping[str, float] = {"tmax": 0.01, "chi": 0.001, "field": 0.0005}
IGNORED = ("*map.nii.gz", "*map.json", "tpl-*")
"""Ground truth for which BIDS 1.10 has no name: Tmax and the field. χ has one, and the same pattern covers it."""
_SIMULATED = {"Manufacturer": NAME, "Description": "Simulated data, not a patient"}

README = """# Phantom strokes

Simulated by Adumbra. **A phantom is not a patient**: a figure measured here says how a method performs on the phantom,
and nothing about its clinical performance. One seed determines each subject. The side-cars of the ground truth hold the
seed and every other parameter of the simulation.

- `dwi/*_trace`, `*_ADC`, `*_S0map`, `anat/*_FLAIR`, `*_part-mag_T2starw`, `*_part-phase_T2starw`, `*_acq-tof_angio`:
  the sequences as a scanner exports them, each on its own voxels. ADC and phase come in units that scanners write. The
  side-cars name these units (`Units`, and `StoredAs` for a phase).
- `derivatives/truth`: the ground truth of each subject. A mask without `space-` in its name is what an annotator sees
  on the DWI (`label-lesion`, `label-hypoperfusion`) or on the T2*-weighted image (`label-thrombus`). `space-DWI`,
  `space-TOF` and so on lie on another sequence, moved and distorted as it was. `space-phantom` is the head on the grid
  of the simulation. `_mask` is a mask, `_probseg` the fraction of each voxel, `_dseg` labels with their names in the
  `.tsv`, `_Tmaxmap` in s, `_Chimap` and `_Fieldmap` in ppm. `tpl-MNI152NLin2009aSym` holds the atlas of arterial
  territories.
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
    """Writes one simulated case below the data set's root.

    Args:
        case: The case, with scans in the units of ``adumbra.core.types`` and a phase in radians within ±π.
        truths: Ground truth; one volume of each name, space and kind.
        stored: Encoding of a modality in its file: one of ``phase_encodings.PHASES`` or ``"Hz"`` for ``phase``, one of
            ``phase_encodings.ADC_POWERS`` for ``adc``. Modalities without an entry are in radians and 10⁻³ mm²/s.
        parameters: Every parameter of the simulation. ``parameters["sequences"][modality]`` holds fields by their BIDS
            names (``EchoTime`` in s) for the side-car of the image. A phase has those of its magnitude too.
        out: Root of the data set.
        overwrite: Replace the case if it exists.

    Returns:
        The paths; the masks that readers look for are the last.

    Raises:
        OutputRefused: The case exists already, or the folder cannot be written.
        AmbiguousInput: ``stored`` names no encoding of the modality.
        MissingInput: A phase is to be stored in Hz and has no echo time.
    """
    files: dict[str, bytes] = {}
    for modality, scan in case.scans.items():
        fields = _fields(parameters, modality)
        image, encoding = _encoded(modality, scan, stored.get(modality), fields)
        stem = _stem(case, modality)
        files[f"{stem}.nii.gz"] = volume_bytes(image, scan.native)
        files[f"{stem}.json"] = json_bytes({**_SIMULATED, **fields, **_SIMULATED, **encoding})
    for truth in sorted(truths, key=lambda truth: (_is_reference_mask(truth, case), truth.kind == "mask")):
        files |= _truth_files(truth, case, parameters)
    return write_all_atomically(files, out, overwrite=overwrite)


def write_description(out: Path, *, seed: int) -> None:
    """Writes the files that a BIDS data set has once: its description and that of its ground truth."""
    generator = {"Name": NAME, "Version": version("adumbra")}
    common = {"Name": "Adumbra phantom strokes", "BIDSVersion": BIDS_VERSION, "GeneratedBy": [generator], "Seed": seed}
    derived = common | {"DatasetType": "derivative", "DatasetLinks": {"raw": "../.."}}
    files = {
        "README.md": README.encode(),
        "dataset_description.json": json_bytes(common | {"DatasetType": "raw", "License": "CC0"}),
        f"{TRUTH}/.bidsignore": ("\n".join(IGNORED) + "\n").encode(),
        f"{TRUTH}/dataset_description.json": json_bytes(derived),
    }
    write_all_atomically(files, out, overwrite=True)


def write_atlas(labels: np.ndarray, grid: Grid, names: Mapping[int, str], out: Path) -> None:
    """Writes the arterial territories of the phantom, in MNI152NLin2009aSym, beside the ground truth.

    Args:
        labels: Territory of each voxel, int (X, Y, Z).
        grid: Grid of the labels.
        names: Name of each territory by its label.
        out: Root of the data set.
    """
    stem = f"{TRUTH}/{ATLAS}/{ATLAS}_res-2_desc-territories_dseg"
    rows = ["index\tname", *(f"{index}\t{name}" for index, name in sorted(names.items()))]
    sidecar = {
        "Description": "Arterial territory of each voxel, from the phantom's vessels in the space of the template",
        "Labels": dict(sorted(names.items())),
    }
    files = {
        f"{stem}.nii.gz": volume_bytes(StoredVolume(labels.astype(np.int16)), grid),
        f"{stem}.tsv": ("\n".join(rows) + "\n").encode(),
        f"{stem}.json": json_bytes(sidecar),
    }
    write_all_atomically(files, out, overwrite=True)


def _stem(case: Case, modality: Modality) -> str:
    (folder, suffix), b = SUFFIX[modality], case.scans[modality].b_value
    weighting = f"acq-b{b:.0f}_" if modality == "dwi" and b else ""
    return f"{case.name}/{folder}/{case.name}_{weighting}{suffix}"


def _fields(parameters: Mapping[str, object], modality: Modality) -> dict[str, object]:
    """The side-car fields of a sequence. A phase also has those of the magnitude of the same acquisition."""
    sequences = parameters.get("sequences")
    if not isinstance(sequences, Mapping):
        return {}
    each = [sequences.get(name) for name in (("swi", "phase") if modality == "phase" else (modality,))]
    return {str(key): value for fields in each if isinstance(fields, Mapping) for key, value in fields.items()}


def _encoded(
    modality: Modality, scan: Scan, unit: str | None, fields: Mapping[str, object]
) -> tuple[StoredVolume, dict[str, object]]:
    """The volume as its file stores it, on the native voxels, and the side-car fields of this encoding."""
    values = _on_native(scan, nearest=modality == "phase")
    if modality == "phase":
        return _encoded_phase(values, unit or "rad", scan, fields)
    if modality == "adc":
        return _encoded_adc(values, unit or "10⁻³")
    return stored_exactly(values), {"DiffusionBValue": scan.b_value} if modality == "dwi" else {}


def _encoded_phase(
    values: np.ndarray, unit: str, scan: Scan, fields: Mapping[str, object]
) -> tuple[StoredVolume, dict[str, object]]:
    encoding = _phase_encoding(scan, unit, fields)
    # BIDS allows two words for the unit of a phase, and refuses any other.
    sidecar: dict[str, object] = {"Units": "rad" if unit == "rad" else "arbitrary", "StoredAs": unit}
    return StoredVolume(stored_of(values, encoding), encoding.slope, encoding.intercept), sidecar


def _encoded_adc(values: np.ndarray, unit: str) -> tuple[StoredVolume, dict[str, object]]:
    _require_known("adc", unit, ADC_POWERS)
    power = ADC_POWERS[unit]
    sidecar: dict[str, object] = {"Units": f"10^{power} mm^2/s" if power else "mm^2/s"}
    scaled = values if power == -3 else values * np.float32(10.0 ** (-3 - power))
    return (stored_in_steps(scaled, 1.0) if power == -6 else StoredVolume(scaled)), sidecar


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


def _is_reference_mask(truth: GroundTruth, case: Case) -> bool:
    """Whether this is the mask that readers use: the one on the reference modality of its target."""
    reference = {str(target): spec.reference_modalities for target, spec in TARGET_SPECS.items()}.get(truth.name, ())
    return truth.space == next((modality for modality in reference if modality in case.scans), None)


def _truth_files(truth: GroundTruth, case: Case, parameters: Mapping[str, object]) -> dict[str, bytes]:
    where = truth.space if truth.space == "phantom" else truth.space.upper()
    space = "" if _is_reference_mask(truth, case) else f"_space-{where}"
    folder = "anat" if truth.space == "phantom" else SUFFIX[truth.space][0]
    stem = f"{TRUTH}/{case.name}/{folder}/{case.name}{space}_{_truth_name(truth)}"
    files = {f"{stem}.json": json_bytes(_truth_sidecar(truth, case) | {"SimulationParameters": parameters})}
    if truth.kind == "dseg":
        rows = ["index\tname", *(f"{index}\t{name}" for index, name in sorted(truth.labels.items()))]
        files[f"{stem}.tsv"] = ("\n".join(rows) + "\n").encode()
    return files | {f"{stem}.nii.gz": volume_bytes(_stored_truth(truth), truth.scan.native)}


def _truth_name(truth: GroundTruth) -> str:
    """The last entity and the suffix. BIDS has no ``label-`` for a ``_dseg``."""
    if truth.kind == "map":
        return f"{truth.name.capitalize()}map"
    return f"{'desc' if truth.kind == 'dseg' else 'label'}-{truth.name}_{truth.kind}"


def _truth_sidecar(truth: GroundTruth, case: Case) -> dict[str, object]:
    sidecar: dict[str, object] = {"Description": truth.description or f"Ground truth of the {truth.name}"}
    if truth.space == "phantom":
        sidecar["SpatialReference"] = "The simulated head, at rest and undistorted"
    elif truth.space in case.scans:
        sidecar["SpatialReference"] = f"bids:raw:{_stem(case, truth.space)}.nii.gz"
    else:
        sidecar["SpatialReference"] = f"The {truth.space}, which this case lacks"
    if truth.kind == "mask":
        sidecar["Type"] = "Lesion" if truth.name == "lesion" else "ROI"
    if truth.unit:
        sidecar["Units"] = truth.unit
    if truth.labels:
        sidecar["Labels"] = dict(sorted(truth.labels.items()))
    return sidecar


def _stored_truth(truth: GroundTruth) -> StoredVolume:
    values = _on_native(truth.scan, nearest=truth.kind == "dseg")
    if truth.kind == "dseg":
        return StoredVolume(values.astype(np.int16))
    if truth.kind == "map" and truth.name in STEPS:
        return stored_in_steps(values, STEPS[truth.name])
    return StoredVolume(values.astype(np.uint8 if truth.kind == "mask" else np.float32))


def _on_native(scan: Scan, *, nearest: bool) -> np.ndarray:
    """The values on the native grid: only axes are reoriented, unless the scan was resampled since."""
    values, grid = reorient(scan.data, scan.grid, scan.native.axcodes)
    if grid.coincides(scan.native):
        return values
    return resample(scan.data, scan.grid, scan.native, interpolation="nearest" if nearest else "linear")
