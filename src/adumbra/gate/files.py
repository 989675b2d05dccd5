"""The gate for weights, archives and manifests: it calls the checks that stand in front of their readers."""

import hashlib
import json
from pathlib import Path

from adumbra.cases.archive import checked_archive
from adumbra.cases.image_file import absence_of
from adumbra.cases.manifest import require_files, rows_of
from adumbra.core.bounded_json import parsed_json
from adumbra.core.errors import AdumbraError, UnreadableFile, WeightsRejected
from adumbra.core.legacy import current_names
from adumbra.gate.verdict import Refusal, Verdict, refusal_of
from adumbra.networks.weights_file import OURS, checked_weights

LARGEST_WEIGHTS = 2**32


def weights_verdict(path: Path) -> Verdict:
    """The verdict on a file of weights, and on the card beside it (``<name>.json``) where there is one."""
    try:
        data = read_file(path, most_bytes=LARGEST_WEIGHTS, expected="a file of weights", do=OURS)
        beside = _card_beside(path)
        facts = checked_weights(path.name, data, sha256=str(beside.get("sha256", "")))
        _require_same_card(path, beside, {"sha256": facts.sha256, **facts.card})
    except AdumbraError as error:
        return Verdict(str(path), "weights", (refusal_of(error),))
    known = {"architecture": facts.card["architecture"], "tensors": len(facts.tensors), "numbers": facts.numbers}
    warnings = () if beside else (f"There is no card {path.stem}.json beside it: its hash was not compared",)
    return Verdict(str(path), "weights", (), warnings, {**known, "sha256": hashlib.sha256(data).hexdigest()})


def _card_beside(path: Path) -> dict[str, object]:
    """The card beside weights; empty where there is none.

    Raises:
        WeightsRejected: It is not a JSON object with a hash.
    """
    card = path.with_suffix(".json")
    if not card.is_file():
        return {}
    try:
        facts = current_names("card", parsed_json(card.read_bytes()))
        digest = facts.get("sha256") if isinstance(facts, dict) else None
        if not isinstance(facts, dict) or not isinstance(digest, str) or len(digest) != 64:
            raise ValueError(f"no sha256 of 64 characters in {card.stat().st_size:,} bytes")
    except (OSError, ValueError) as problem:
        raise WeightsRejected(
            card.name, expected="the card that adumbra train wrote", found=str(problem), do=OURS
        ) from problem
    return facts


def _require_same_card(path: Path, beside: dict[str, object], inside: dict[str, object]) -> None:
    names = ("architecture", "config", "spacing_mm", "patch", "threshold", "window", "high_threshold")
    for name in names:
        if name in beside and name in inside and beside[name] != inside[name]:
            stated, actual = json.dumps(beside[name])[:80], json.dumps(inside[name])[:80]
            raise WeightsRejected(
                f"{path.stem}.json",
                expected=f"{name} = {actual}, as on the card inside {path.name}",
                found=f"{name} = {stated}",
                do="copy both files of one training again",
            )


def archive_verdict(path: Path) -> Verdict:
    """The verdict on an archive; nothing is extracted."""
    try:
        facts = checked_archive(path)
    except AdumbraError as error:
        return Verdict(str(path), "archive", (refusal_of(error),))
    known = {"format": facts.kind, "files": len(facts.names), "unpacked_bytes": facts.unpacked_bytes}
    return Verdict(str(path), "archive", (), (), known)


def manifest_verdict(path: Path) -> Verdict:
    """The verdict on a manifest: its text, headings and rows, and the files that every row names."""
    refusals: list[Refusal] = []
    try:
        rows = rows_of(path)
    except AdumbraError as error:
        return Verdict(str(path), "manifest", (refusal_of(error),))
    for row in rows:
        try:
            require_files(path, row)
        except AdumbraError as error:
            refusals.append(refusal_of(error))
    if not rows:
        empty = UnreadableFile(path.name, expected="a row for each case", found="0 rows", do="add the cases")
        refusals.append(refusal_of(empty))
    warnings = _encoding_warnings(path)
    return Verdict(str(path), "manifest", tuple(refusals), warnings, {"cases": len(rows)})


def _encoding_warnings(path: Path) -> tuple[str, ...]:
    stored = path.read_bytes()
    try:
        stored.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        return (f"Byte {problem.start} is no UTF-8: the table was read as Windows-1252",)
    return ()


def read_file(path: Path, *, most_bytes: int, expected: str, do: str) -> bytes:
    """The bytes of a regular file of bounded size.

    Args:
        path: The file.
        most_bytes: Largest accepted size.
        expected: What the file should be, for errors.
        do: What the user can do, for errors.

    Raises:
        UnreadableFile: A folder, a device, a link to nothing or to itself, an empty or a larger file, or one that must
            not be read.
    """
    try:
        if not path.exists():
            raise UnreadableFile(path.name, expected=expected, found=absence_of(path), do="check the path")
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "a device, pipe or socket"
            raise UnreadableFile(path.name, expected=expected, found=kind, do=do)
        size = path.stat().st_size
        if not 0 < size <= most_bytes:
            raise UnreadableFile(path.name, expected=f"{expected} of 1 to {most_bytes:,} bytes",
                                 found=f"{size:,} bytes", do=do)  # fmt: skip
        return path.read_bytes()
    except OSError as problem:
        raise UnreadableFile(
            path.name, expected=expected, found=str(problem.strerror), do="check its permissions"
        ) from problem
