"""The gate for splits: the same subject, session or voxels on two sides of a training and its evaluation.

Duplicates across the sides inflate every score (Yagis et al., Sci Rep 11:22544, 2021). A split is a JSON object with a
list of cases for each side, a list of such objects (folds), or a table with the columns ``case`` and ``split``. A case
is a name such as ``sub-01_ses-02``, or the path of its file or folder, relative to the split; then its voxels are
compared too, whatever the file is called and however it is compressed.
"""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adumbra.cases.image_file import image_stem, is_image_name, read_image_file
from adumbra.core.bounded_json import parsed_json
from adumbra.core.errors import AdumbraError, AmbiguousInput, UnreadableFile
from adumbra.gate.files import read_file
from adumbra.gate.verdict import Refusal, Verdict, refusal_of

MOST_BYTES = 2**24
_EXPECTED = "a split: lists of cases by side (JSON), or a table with the columns case and split"
_SIDES = r"train(ing)?|val(id(ation)?)?|test(ing)?|held[-_ ]?out|calib(ration)?|eval(uation)?|dev(elopment)?"
_MOST_IMAGES = 32


@dataclass(frozen=True)
class SplitCase:
    """A case on one side of a split.

    Attributes:
        side: Name of the side, such as ``"train"``.
        name: The case as it is written in the split.
        subject: Its subject, such as ``"sub-01"``; its name without a session where it states none.
        session: Its session, such as ``"ses-02"``; empty where it states none.
        voxels: Hashes of the voxels of its images; empty where no file is there.
    """

    side: str
    name: str
    subject: str
    session: str = ""
    voxels: frozenset[str] = frozenset()


Similarity = Callable[[SplitCase], frozenset[str]]


def leaks(cases: Sequence[SplitCase]) -> Iterator[AmbiguousInput]:
    """An error for each two cases on different sides that are the same case, subject or images, the closest kind only.

    Args:
        cases: All cases of a split, in any order.
    """
    kinds: Mapping[str, Similarity] = {
        "case": lambda case: frozenset({case.name.casefold()}),
        "voxels": lambda case: case.voxels,
        "subject": lambda case: frozenset({case.subject.casefold()}),
    }
    reported: set[tuple[str, str]] = set()
    for kind, keys_of in kinds.items():
        first: dict[str, SplitCase] = {}
        for case in cases:
            for key in sorted(keys_of(case)):
                other = first.setdefault(key, case)
                pair = (f"{other.side}/{other.name}", f"{case.side}/{case.name}")
                if other.side != case.side and pair not in reported:
                    reported.add(pair)
                    yield _leak(kind, other, case)


def _leak(kind: str, first: SplitCase, second: SplitCase) -> AmbiguousInput:
    what = {
        "case": f"the same case {first.name!r}",
        "voxels": "images with the same voxels",
        "subject": f"the same subject {first.subject!r}",
    }[kind]
    sessions = f" (sessions {first.session or 'none'} and {second.session or 'none'})" if kind == "subject" else ""
    return AmbiguousInput(
        "split",
        expected="each subject, session and image on one side only",
        found=f"{what} on 2 sides: {first.name!r} in {first.side} and {second.name!r} in {second.side}{sessions}",
        do=f"move both to one side, or remove {second.name!r}",
    )


def subject_and_session(name: str) -> tuple[str, str]:
    """The subject and the session that a name states: ``sub-X`` and ``ses-Y``, else the name and nothing."""
    plain = name.replace("\\", "/")
    subject, session = re.search(r"sub-[A-Za-z0-9]+", plain), re.search(r"ses-[A-Za-z0-9]+", plain)
    last = image_stem(Path(plain.rstrip("/")))
    return subject[0] if subject else last, session[0] if session else ""


def split_verdict(path: Path) -> Verdict:
    """The verdict on a split; every leak is a refusal of its own."""
    refusals: list[Refusal] = []
    counts: dict[str, int] = {}
    warnings: list[str] = []
    try:
        folds = _folds(path)
        for number, sides in enumerate(folds):
            prefix = f"fold {number}, " if len(folds) > 1 else ""
            cases = _cases(path, sides)
            refusals += [_in_file(path, prefix, error) for error in leaks(cases)]
            warnings += [f"{prefix}{warning}" for warning in _duplicates(cases)]
            counts = {side: len(names) for side, names in sides.items()}
    except AdumbraError as error:
        return Verdict(str(path), "split", (refusal_of(error),))
    return Verdict(str(path), "split", tuple(refusals), tuple(warnings), {"folds": len(folds), **counts})


def _in_file(path: Path, prefix: str, error: AdumbraError) -> Refusal:
    reason = refusal_of(error)
    return Refusal(reason.error, path.name, f"{prefix}{reason.actual}", reason.expected, reason.do)


def _duplicates(cases: Sequence[SplitCase]) -> list[str]:
    names = [(case.side, case.name) for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    return [f"{name!r} is {names.count((side, name))} times in {side}" for side, name in twice]


def _cases(path: Path, sides: Mapping[str, Sequence[str]]) -> list[SplitCase]:
    hashes: dict[Path, str] = {}
    return [
        SplitCase(side, name, *subject_and_session(name), voxels=_voxels(path.parent, name, hashes))
        for side, names in sides.items()
        for name in names
    ]


def _voxels(folder: Path, name: str, hashes: dict[Path, str]) -> frozenset[str]:
    """The hashes of the voxels of the images of a case, where its name is a path; unreadable images are left out."""
    plain = name.replace("\\", "/")
    if plain.startswith(("/", "~")) or ".." in plain.split("/") or len(plain) > 1024:
        return frozenset()
    home = folder / plain
    images = [home] if home.is_file() and is_image_name(home) else []
    if home.is_dir():
        images = sorted(child for child in home.rglob("*") if is_image_name(child) and child.is_file())[:_MOST_IMAGES]
    return frozenset(digest for image in images if (digest := _voxel_hash(image, hashes)))


def _voxel_hash(image: Path, hashes: dict[Path, str]) -> str:
    if image not in hashes:
        try:
            file = read_image_file(image)
        except AdumbraError:
            return ""
        layout = file.layout
        digest = hashlib.sha256(f"{layout.shape} {layout.dtype.str}".encode())
        digest.update(memoryview(file.content)[layout.offset : layout.end])
        hashes[image] = digest.hexdigest()
    return hashes[image]


def _folds(path: Path) -> list[dict[str, list[str]]]:
    data = read_file(path, most_bytes=MOST_BYTES, expected=_EXPECTED, do="give a .json, .csv or .tsv file")
    if path.suffix.lower() in (".csv", ".tsv"):
        return [_require_sides(path, _from_table(path, data))]
    try:
        content = parsed_json(data)
    except ValueError as problem:
        raise _refused(path, f"{len(data):,} bytes that are not JSON: {problem}") from problem
    folds = content if isinstance(content, list) else [content]
    if not folds:
        raise _refused(path, "0 folds")
    return [_require_sides(path, _names_by_side(path, fold)) for fold in folds]


def _names_by_side(path: Path, fold: object) -> dict[str, list[str]]:
    if not isinstance(fold, dict):
        raise _refused(path, f"a {type(fold).__name__} in place of 2 or more sides")
    sides = {str(side): names for side, names in fold.items() if re.fullmatch(_SIDES, str(side), re.IGNORECASE)}
    for side, names in sides.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise _refused(path, f"{side} with something other than {len(str(names))} characters of names in a list")
    if unknown := [str(side) for side in fold if str(side) not in sides]:
        raise _refused(path, f"the {len(unknown)} unknown sides {', '.join(unknown)[:80]}")
    return sides


def _from_table(path: Path, data: bytes) -> dict[str, list[str]]:
    try:
        text = data.decode("utf-8-sig")
        separator = max(";,\t", key=text.split("\n", 1)[0].count)
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except (UnicodeDecodeError, csv.Error) as problem:
        raise _refused(path, f"{len(data):,} bytes that are no table in UTF-8: {problem}") from problem
    headings = {str(key).strip().lower(): key for key in (rows[0] if rows else {})}
    case = next((headings[name] for name in ("case", "participant_id", "subject", "id") if name in headings), None)
    side = next((headings[name] for name in ("split", "side", "set", "fold") if name in headings), None)
    if case is None or side is None:
        raise _refused(path, f"{len(rows)} rows under the headings {', '.join(headings) or 'none'}")
    sides: dict[str, list[str]] = {}
    for row in rows:
        sides.setdefault(str(row[side]).strip(), []).append(str(row[case]).strip())
    return sides


def _require_sides(path: Path, sides: dict[str, list[str]]) -> dict[str, list[str]]:
    filled = [side for side, names in sides.items() if names]
    if len(filled) < 2:
        sizes = ", ".join(f"{side}: {len(names)}" for side, names in sides.items()) or "no side"
        raise _refused(path, f"{len(filled)} sides with cases ({sizes}), where 2 are needed")
    return sides


def _refused(path: Path, actual: str) -> UnreadableFile:
    return UnreadableFile(path.name, expected=_EXPECTED, found=actual, do="list the cases of each side once")
