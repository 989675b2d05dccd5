"""What lies beside an image: its JSON side-car and its .bval, and the b-value that they, or its name, tell."""

import json
import re
from pathlib import Path

from adumbra.cases.probe import image_stem
from adumbra.core.case import Conversion
from adumbra.core.errors import ImplausibleValues, UnreadableFile

USUAL_B = (500.0, 1500.0)
LEAST_WEIGHTED = 50.0  # below this a volume counts as b = 0
LARGEST_B = 10_000.0
_IN_NAME = re.compile(r"(?<![a-z0-9])b[-_=]?(\d{3,4})(?![0-9])")
_LARGEST = 1 << 22


def sidecar_of(path: Path) -> dict[str, object]:
    """The JSON beside an image; empty where there is none.

    Raises:
        UnreadableFile: It is there, and is no JSON object.
    """
    beside = path.with_name(image_stem(path) + ".json")
    if not beside.is_file():
        return {}
    try:
        told = json.loads(_text(beside))
    except (ValueError, RecursionError) as problem:
        raise UnreadableFile(
            beside.name, expected="a JSON side-car", found=str(problem), do="mend it, or take it away"
        ) from problem
    if not isinstance(told, dict):
        raise UnreadableFile(
            beside.name, expected="a JSON object", found=type(told).__name__, do="mend it, or take it away"
        )
    return told


def says_adc(path: Path) -> bool:
    """Whether the side-car's DICOM ImageType calls the image an ADC map."""
    kinds = sidecar_of(path).get("ImageType")
    return isinstance(kinds, list) and any(str(kind).upper().split("_")[0] == "ADC" for kind in kinds)


def echo_time_s(path: Path) -> float | None:
    """The echo time in s that the side-car of an image tells."""
    told = _number(sidecar_of(path).get("EchoTime"))
    return told if told is not None and told > 0 else None


def phantom_notes(path: Path) -> tuple[Conversion, ...]:
    """A warning for the report's reader where the side-car says that Adumbra's simulator drew the image."""
    if sidecar_of(path).get("Manufacturer") != "Adumbra":
        return ()
    return (
        Conversion("cases.sidecar", "case", "Drawn by Adumbra's simulator: a phantom, not a patient", warning=True),
    )


def bvals_beside(path: Path) -> tuple[float, ...]:
    """The b-values of the volumes, in s/mm², from the .bval beside; empty where there is none.

    Raises:
        UnreadableFile: It holds something else than numbers.
    """
    beside = path.with_name(image_stem(path) + ".bval")
    if not beside.is_file():
        return ()
    try:
        return tuple(float(word) for word in _text(beside).split())
    except ValueError as problem:
        raise UnreadableFile(
            beside.name, expected="b-values, separated by blanks", found=str(problem), do="mend it, or take it away"
        ) from problem


def b_value_of(
    path: Path, *, volume: int | None = None, stated: float | None = None
) -> tuple[float | None, tuple[Conversion, ...]]:
    """The b-value of a diffusion-weighted image in s/mm², and where it comes from.

    The first that tells one counts: the user, the JSON side-car, the .bval, the file's name; None where none does.
    """
    if stated is not None and not LEAST_WEIGHTED <= stated <= LARGEST_B:
        expected = f"a b-value of {LEAST_WEIGHTED:g} to {LARGEST_B:g} s/mm² for the dwi"
        raise ImplausibleValues(path.name, expected=expected, found=f"{stated:g}", do="state the right one, or none")
    every = {source: b for source, b in _told(path, volume, stated).items() if b is not None}
    told = {source: b for source, b in every.items() if LEAST_WEIGHTED <= b <= LARGEST_B}
    if not told:
        notes = [
            _warning(f"{source} says b = {b:g} s/mm² for the dwi; it was not used", b) for source, b in every.items()
        ]
        return None, (Conversion("cases.sidecar", "dwi", "The b-value is not known: no file tells it"), *notes)
    source, b = next(iter(told.items()))
    notes = [Conversion("cases.sidecar", "dwi", f"b = {b:g} s/mm², from {source}", {"b_value": b, "source": source})]
    others = {other: value for other, value in told.items() if abs(value - b) > 1}
    if others:
        told_by = " and ".join(f"{other} says {value:g}" for other, value in others.items())
        notes.append(_warning(f"b = {b:g} s/mm² was taken from {source}, although {told_by}", b))
    if not USUAL_B[0] <= b <= USUAL_B[1]:
        what = f"b = {b:g} s/mm² is outside the {USUAL_B[0]:g} to {USUAL_B[1]:g} that stroke protocols use"
        notes.append(_warning(what, b))
    return b, tuple(notes)


def _told(path: Path, volume: int | None, stated: float | None) -> dict[str, float | None]:
    bvals, in_name = bvals_beside(path), _IN_NAME.search(image_stem(path).lower())
    beside = bvals[volume or 0] if len(bvals) == 1 or (volume is not None and volume < len(bvals)) else None
    return {
        "the user": stated,
        "the side-car": _number(sidecar_of(path).get("DiffusionBValue")) if volume is None else None,
        "the .bval": beside,
        "the file's name": float(in_name[1]) if in_name else None,
    }


def _number(told: object) -> float | None:
    if isinstance(told, list) and len(told) == 1:
        told = told[0]
    try:
        return float(told) if isinstance(told, int | float | str) else None
    except ValueError:
        return None


def _warning(what: str, b: float) -> Conversion:
    return Conversion("cases.sidecar", "dwi", what, {"b_value": b}, warning=True)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise UnreadableFile(path.name, expected="a small text file", found="more than 4 MiB", do="take it away")
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as problem:
        raise UnreadableFile(
            path.name, expected="a readable file", found=str(problem.strerror), do="check its permissions"
        ) from problem
