"""The text files beside an image: its JSON sidecar, parsed once into a ``Sidecar``, and its .bval.

The b-value of a diffusion-weighted image is looked up here as well, because both files and the image's name state it.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adumbra.cases.image_file import image_stem
from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, ImplausibleValues, UnreadableFile

LEAST_WEIGHTED = 50.0
"""b-value in s/mm² below which a volume counts as b = 0."""
LARGEST_B = 10_000.0
_IN_NAME = re.compile(r"(?<![a-z0-9])b[-_=]?(\d{3,4})(?![0-9])")
_LARGEST_FILE = 1 << 22
_BVAL_EXTENSIONS = (".bval", ".bvals", ".BVAL")


@dataclass(frozen=True)
class Sidecar:
    """What the JSON sidecar of an image states; everything is unset for an image without one.

    Attributes:
        b_value: ``DiffusionBValue`` in s/mm²; None where it is not stated as one number.
        echo_time_s: ``EchoTime`` in s; None where it is not stated or not above zero.
        is_adc: Whether the DICOM ``ImageType`` calls the image an ADC map.
        is_phantom: Whether Adumbra's simulator wrote the image.
        fields: The whole content of the file, as parsed.
    """

    b_value: float | None = None
    echo_time_s: float | None = None
    is_adc: bool = False
    is_phantom: bool = False
    fields: Mapping[str, object] = field(default_factory=dict)


def read_sidecar(image: Path) -> Sidecar:
    """Parses the JSON sidecar of an image.

    Raises:
        UnreadableFile: The file exists and is not a JSON object.
    """
    path = image.with_name(image_stem(image) + ".json")
    if not path.is_file():
        return Sidecar()
    expected, do = "a JSON sidecar: one object with the fields of BIDS", "repair the file, or remove it"
    try:
        fields = json.loads(_text(path))
    except (ValueError, RecursionError) as problem:
        raise UnreadableFile(path.name, expected=expected, found=str(problem), do=do) from problem
    if not isinstance(fields, dict):
        raise UnreadableFile(path.name, expected=expected, found=f"a {type(fields).__name__}", do=do)
    return _parsed(fields)


def _parsed(fields: Mapping[str, object]) -> Sidecar:
    echo_time_s, kinds = _number(fields.get("EchoTime")), fields.get("ImageType")
    return Sidecar(
        b_value=_number(fields.get("DiffusionBValue")),
        echo_time_s=echo_time_s if echo_time_s is not None and echo_time_s > 0 else None,
        is_adc=isinstance(kinds, list) and any(str(kind).upper().split("_")[0] == "ADC" for kind in kinds),
        is_phantom=fields.get("Manufacturer") == "Adumbra",
        fields=fields,
    )


def phantom_notes(sidecar: Sidecar) -> tuple[Conversion, ...]:
    """A line of the provenance where the image comes from Adumbra's simulator."""
    if not sidecar.is_phantom:
        return ()
    what = "Simulated by Adumbra: a phantom, not a patient"
    return (Conversion("cases.sidecar", "case", what, {"simulated": True}),)


def read_bvals(image: Path) -> tuple[float, ...]:
    """The b-values in s/mm², one per volume, from the .bval of an image; empty where there is no such file.

    Blanks, tabs, line ends of any system, commas and semicolons separate the values.

    Raises:
        UnreadableFile: The file holds something other than finite numbers from 0 on, or no number.
    """
    path = _bval_file(image)
    if path is None:
        return ()
    words = re.split(r"[\s,;]+", _text(path).strip(" \t\r\n,;"))
    try:
        bvals = tuple(float(word) for word in words)
    except ValueError as problem:
        raise _not_bvals(path, f"{problem} (among {len(words)} words)"[:200]) from problem
    if not all(math.isfinite(b) and b >= 0 for b in bvals):
        raise _not_bvals(path, ", ".join(f"{b:g}" for b in bvals[:8]) + f" ({len(bvals)} values)")
    return bvals


def _bval_file(image: Path) -> Path | None:
    candidates = (image.with_name(image_stem(image) + extension) for extension in _BVAL_EXTENSIONS)
    return next((path for path in candidates if path.is_file()), None)


def _not_bvals(path: Path, actual: str) -> UnreadableFile:
    return UnreadableFile(
        path.name,
        expected="b-values in s/mm², separated by blanks",
        found=actual,
        do="repair the file, or remove it",
    )


def require_one_b_value_per_volume(image: Path, volumes: int) -> None:
    """Refuses a diffusion image whose .bval states more or fewer b-values than the image has volumes.

    Which volume a b-value belongs to is then unknown, and one volume would be taken for another.

    Args:
        image: The image; its .bval is read.
        volumes: Number of volumes of the image.

    Raises:
        AmbiguousInput: The two numbers differ.
        UnreadableFile: See ``read_bvals``.
    """
    bvals, path = read_bvals(image), _bval_file(image)
    if path is None or len(bvals) == volumes:
        return
    listed = ", ".join(f"{b:g}" for b in bvals[:8]) + (" ..." if len(bvals) > 8 else "")
    raise AmbiguousInput(
        image.name,
        expected=f"one b-value for each volume in {path.name}",
        found=f"{volumes} volume{'s' * (volumes != 1)} and {len(bvals)} b-value{'s' * (len(bvals) != 1)} ({listed})",
        do=f"correct {path.name}, or remove it and store the diffusion-weighted volume in a file of its own",
    )


def b_value_of(
    image: Path,
    sidecar: Sidecar,
    *,
    volume: int | None = None,
    stated: float | None = None,
    tabulated: float | None = None,
) -> tuple[float | None, tuple[Conversion, ...]]:
    """The b-value of a diffusion-weighted image, and the notes on its source.

    The first of these that states one counts: the user, the manifest, the JSON sidecar, the .bval, the file's name.
    A warning names every other source that states another value.

    Args:
        image: The image; its .bval is read.
        sidecar: The parsed sidecar of the image.
        volume: Index of the volume in a series; None for a file of one volume.
        stated: The user's b-value in s/mm².
        tabulated: The b-value in s/mm² of a manifest.

    Returns:
        The b-value in s/mm², None where nothing states one; and what to note in the provenance.

    Raises:
        ImplausibleValues: The b-value of the user or the manifest is not that of a diffusion-weighted image.
    """
    for given in (stated, tabulated):
        require_b_value(given, where=image.name)
    sources = {"the user": stated, "the manifest": tabulated, **_b_values(image, sidecar, volume)}
    every = {source: b for source, b in sources.items() if b is not None}
    usable = {source: b for source, b in every.items() if LEAST_WEIGHTED <= b <= LARGEST_B}
    unreadable = _unreadable(sidecar) if volume is None else []
    if not usable:
        ignored = [_warning(f"{source} says b = {b:g} s/mm² for the dwi; it was not used", b)
                   for source, b in every.items()]  # fmt: skip
        return None, (
            Conversion("cases.sidecar", "dwi", "The b-value is unknown: no file states a usable one"),
            *unreadable,
            *ignored,
        )
    source, b = next(iter(usable.items()))
    note = Conversion("cases.sidecar", "dwi", f"b = {b:g} s/mm², from {source}", {"b_value": b, "source": source})
    return b, (note, *unreadable, *_b_warnings(source, b, every))


def require_b_value(b_value: float | None, *, where: str) -> None:
    """Refuses a stated b-value that no diffusion-weighted image has; None is accepted.

    Raises:
        ImplausibleValues: It lies outside ``LEAST_WEIGHTED`` to ``LARGEST_B``, or is not finite.
    """
    if b_value is None or LEAST_WEIGHTED <= b_value <= LARGEST_B:
        return
    raise ImplausibleValues(
        where,
        expected=f"a b-value of {LEAST_WEIGHTED:g} to {LARGEST_B:g} s/mm² for the dwi",
        found=f"{b_value:g} s/mm²",
        do="state the b-value of the dwi, or leave it out",
    )


def b0_warnings(image: Path, sidecar: Sidecar, *, volume: int | None = None) -> tuple[Conversion, ...]:
    """A warning where files state a b-value of a diffusion-weighted image for the b0."""
    stated = {source: b for source, b in _b_values(image, sidecar, volume).items() if b and b >= LEAST_WEIGHTED}
    if not stated:
        return ()
    listed = " and ".join(f"{source} says b = {b:g} s/mm²" for source, b in stated.items())
    b_value = next(iter(stated.values()))
    what = f"{image.name} was read as b0, although {listed}"
    return (Conversion("cases.sidecar", "b0", what, {"b_value": b_value}, warning=True),)


def _b_values(image: Path, sidecar: Sidecar, volume: int | None) -> dict[str, float | None]:
    """What each file states, in the order in which they count."""
    bvals, in_name = read_bvals(image), _IN_NAME.search(image_stem(image).lower())
    in_bval = bvals[volume or 0] if len(bvals) == 1 or (volume is not None and volume < len(bvals)) else None
    return {
        "the sidecar": sidecar.b_value if volume is None else None,
        "the .bval": in_bval,
        "the file's name": float(in_name[1]) if in_name else None,
    }


def _unreadable(sidecar: Sidecar) -> list[Conversion]:
    """A warning where the sidecar states a b-value that is not one number."""
    written = sidecar.fields.get("DiffusionBValue")
    if written is None or sidecar.b_value is not None:
        return []
    what = f"The sidecar says DiffusionBValue = {str(written)[:40]!r} for the dwi, which is no number; it was not used"
    return [Conversion("cases.sidecar", "dwi", f"{what}: correct it, or state --b-value", warning=True)]


def _b_warnings(source: str, b: float, every: Mapping[str, float]) -> list[Conversion]:
    notes = []
    others = [f"{other} says {value:g}" for other, value in every.items() if abs(value - b) > 1]
    if others:
        notes.append(_warning(f"b = {b:g} s/mm² was taken from {source}, although {' and '.join(others)}", b))
    return notes


def _number(value: object) -> float | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    try:
        number = float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):  # A whole number of 400 digits is beyond float64.
        return None
    return number if number is not None and math.isfinite(number) else None


def _warning(what: str, b: float) -> Conversion:
    return Conversion("cases.sidecar", "dwi", what, {"b_value": b}, warning=True)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UnreadableFile(
                path.name, expected="a text file of at most 4 MiB", found="a larger one", do="repair it, or remove it"
            )
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as problem:
        raise UnreadableFile(
            path.name, expected="a readable file", found=str(problem.strerror), do="check its permissions"
        ) from problem
