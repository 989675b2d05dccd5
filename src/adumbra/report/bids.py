"""BIDS names, and the small files that turn a folder of results into a BIDS derivative data set."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from adumbra.core.errors import InputRejected, OutputRefused
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Target

BIDS_VERSION = "1.10.1"
NAME = "Adumbra"
RESEARCH_USE = "Research use only, not for diagnosis."
IGNORED = (
    "*_uncertainty.nii.gz", "*_uncertainty.json", "*_findings.json", "*_run.json", "*_clinic.json", "*_scene.npz",
    "*.html", "*.pdf",
)  # fmt: skip
"""Files for which BIDS 1.10 has no name."""

README = """# Segmentations with their uncertainty

Written by Adumbra. **Research use only, not for diagnosis.**

One image per measure, on the voxels of the reference modality of the target:

- `_mask`: voxels whose mean probability is at least the threshold in the side-car, in 26-connected components that
  reach its high threshold somewhere (hysteresis)
- `_probseg`: mean probability over the posterior draws, 0 to 1
- `_desc-entropy_uncertainty`: predictive entropy, nats, 0 to 0.693
- `_desc-aleatoric_uncertainty`, `_desc-epistemic_uncertainty`: its two parts, which add up to it
- `_desc-variance_uncertainty`: variance of the probability over the draws
- `_desc-margin_uncertainty`: margin of the two classes, 0 (undecided) to 1 (certain)

`_findings.json` holds volumes with their intervals and the uncertain regions. Two of its numbers are a Dice without a
reference: `draws_dice` compares two draws, in the case and around each component; `member_dice`, the case score,
compares the masks of the ensemble members. `_run.json` holds what is needed to repeat the run of a target, and
`_clinic.json` the clinical summary of a case, where it was computed.
"""

_NAMED = re.compile(r"sub-[a-zA-Z0-9]+(_ses-[a-zA-Z0-9]+)?(_acq-[a-zA-Z0-9]+)?(_run-[0-9]+)?")


def bids_name(name: str) -> str:
    """A case's name as BIDS entities: unchanged if it is one, else its letters and digits after ``sub-``.

    ``"sub-01_ses-2"`` stays, ``"patient 3"`` becomes ``"sub-patient3"``, ``"Åse-7"`` becomes ``"sub-Ase7"``.

    Raises:
        InputRejected: There is no letter or digit in the name.
    """
    if _NAMED.fullmatch(name):
        return name
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    label = re.sub(r"[^a-zA-Z0-9]", "", ascii_name.removeprefix("sub-"))
    if not label:
        raise InputRejected(
            name, expected="a case name with letters or digits", found="none", do="name the case, such as sub-01"
        )
    return f"sub-{label}"


def case_folder(name: str, target: Target) -> str:
    """The folder of a case's files in the data set: ``sub-01/ses-2/dwi`` for a lesion."""
    levels = [entity for entity in name.split("_") if entity.startswith(("sub-", "ses-"))]
    return "/".join([*levels, TARGET_SPECS[target].bids_datatype])


def dataset_files(out: Path) -> dict[str, bytes]:
    """The files that a data set has once, without those that ``out`` has already.

    Raises:
        OutputRefused: ``out`` is a data set that another program wrote.
    """
    files = bidsignore_file(out, IGNORED)
    if not (out / "README.md").exists():
        files["README.md"] = README.encode()
    if not _is_ours(out / "dataset_description.json"):
        files["dataset_description.json"] = json_bytes(_description())
    return files


def json_bytes(value: object) -> bytes:
    """A value as UTF-8 JSON with an indent of two spaces and keys in their order; undefined numbers are null."""
    return (json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def plain(value: Any) -> Any:
    """A value in the types of JSON: arrays and tuples become lists, nan and infinity null, paths their last name."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Path):
        return value.name
    return value if isinstance(value, str | int | None) else str(value)


def bidsignore_file(out: Path, lines: Sequence[str]) -> dict[str, bytes]:
    """The ``.bidsignore`` of a data set with these lines added; nothing if it has them all."""
    ignore = out / ".bidsignore"
    present = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    missing = [line for line in lines if line not in present]
    return {".bidsignore": ("\n".join([*present, *missing]) + "\n").encode()} if missing else {}


def _description() -> dict[str, object]:
    return {
        "Name": f"{NAME}: segmentations with their uncertainty",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": NAME, "Version": version("adumbra"), "Description": "Research use only."}],
        "HowToAcknowledge": "Cite the references listed in each report.",
    }


def _is_ours(description: Path) -> bool:
    if not description.exists():
        return False
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
        generators = [generator.get("Name") for generator in content.get("GeneratedBy", [])]
    except (ValueError, AttributeError, OSError):
        generators = []
    if NAME not in generators:
        raise OutputRefused(
            description,
            expected=f"an empty folder, or one that {NAME} wrote",
            found="another data set",
            do="choose another output folder, such as its derivatives/adumbra",
        )
    return True
