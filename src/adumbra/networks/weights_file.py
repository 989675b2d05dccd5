"""Checks a file of weights without torch: its bytes, its card, its hash, and that every number is finite.

The format of safetensors: eight bytes with the length of the header, the header as JSON (name to type, shape and
position), and the tensors without gaps (https://huggingface.co/docs/safetensors). A pickle is recognised by its first
bytes and never opened, because opening one can run code.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from adumbra.core.bounded_json import parsed_json
from adumbra.core.errors import WeightsRejected
from adumbra.core.legacy import current_names
from adumbra.core.plain_schema import FLAG, OBJECT, TEXT, Choice, Either, Fields, Items, Number
from adumbra.core.types import MODALITIES, STRUCTURES, TARGETS

FORMAT = "adumbra-weights-1"
"""Mark of the cards that this version writes and reads."""
OURS = "give weights.safetensors of a training"
MOST_HEADER = 16 * 2**20
SIZES: Mapping[str, int] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of a number, by the types of safetensors that are read."""
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
_EXPECTED = "a safetensors file"

SPACING = Number(0.1, 20.0)
SHARE = Number(0.0, 1.0)
_RATE = Number(0.0, 0.99)
_COUNT = Number(1, 4096, whole=True)
_MODALITY = Choice(MODALITIES)
NETWORK = Fields(
    {
        "modalities": Items(_MODALITY, 1, 2 * len(MODALITIES)),
        "targets": Items(Choice((*TARGETS, *STRUCTURES)), 1, 16),
        "widths": Items(_COUNT, 1, 10),
        "dropout": Either((Items(_RATE, 1, 10), _RATE)),
        "noise_rank": Either((Number(0, 256, whole=True),), none=True),
        "mirrored": FLAG,
        "context": Items(TEXT, 0, 16),
        "primary": Either((_MODALITY,), none=True),
        "windows": Items(Either((Number(0, 256, whole=True),), none=True), 1, 10),
        "heads": Number(1, 64, whole=True),
        "slim": Number(1, 64, whole=True),
        "shared": FLAG,
        "guided": FLAG,
        "low": SHARE,
        "peak": SHARE,
        "most": Number(1, 10_000, whole=True),
    },
    open=True,  # The config of each architecture refuses the names that it does not know.
)
"""Ranges of the options of every architecture, see ``networks.registry.ARCHITECTURES``."""
CARD = Fields(
    {
        "format": Choice((FORMAT,)),
        "architecture": TEXT,
        "config": NETWORK,
        "spacing_mm": SPACING,
        "patch": Number(0, 1024, whole=True),
        "threshold": SHARE,
        "training": OBJECT,
        "window": Number(0, 1024, whole=True),
        "high_threshold": SHARE,
        "posterior": OBJECT,
    },
    required=("format", "architecture", "config", "spacing_mm", "patch", "threshold", "training"),
)
"""The card of weights, see ``networks.weights.Card``."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes:
        dtype: A type of ``SIZES``.
        shape: Lengths of its axes.
        start: First byte of it in the file.
        end: Byte after its last one.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that passed the checks.

    Attributes:
        sha256: Hash of its bytes.
        card: Its card under today's names, without its format.
        tensors: Its tensors by name.
    """

    sha256: str
    card: Mapping[str, object]
    tensors: Mapping[str, StoredTensor]

    @property
    def numbers(self) -> int:
        """Number of all stored numbers."""
        return sum(prod(tensor.shape) for tensor in self.tensors.values())


def checked_weights(where: str, data: bytes, *, sha256: str = "") -> WeightsFile:
    """The facts of a file of weights.

    Args:
        where: Name of the file, for errors.
        data: Its bytes.
        sha256: What its hash must be; empty accepts any.

    Raises:
        WeightsRejected: Another hash; not safetensors; a header that does not fit the bytes; not written by Adumbra; a
            card with a missing, unknown or impossible field; a network larger than its tensors; NaN or infinity.
    """
    digest = hashlib.sha256(data).hexdigest()
    if sha256 and digest != sha256:
        expected = f"sha256 {sha256[:16]}…, as its card says"
        raise _rejected(where, expected, f"{digest[:16]}…", "install the package again, or train again")
    tensors, metadata = checked_header(where, data)
    card = checked_card(where, metadata)
    facts = WeightsFile(digest, card, tensors)
    _require_fitting(where, facts)
    require_finite(where, data, tensors)
    return facts


def checked_header(where: str, data: bytes) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """The tensors of a safetensors file and its metadata, checked against the length of the file.

    Raises:
        WeightsRejected: A pickle, another kind of file, or a header that does not fit the bytes.
    """
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 10 else 0
    is_header = 2 <= length <= min(len(data) - 8, MOST_HEADER) and data[8:9] == b"{"
    if not is_header and (data[:2] == b"PK" or data[:1] == b"\x80"):
        kind = f"{len(data):,} bytes of a pickle or torch.save archive, which can run code when opened and is refused"
        raise _rejected(where, _EXPECTED, kind, OURS)
    if len(data) < 10:
        raise _damaged(where, f"{len(data)} bytes, where a header has at least 10")
    if not 2 <= length <= min(len(data) - 8, MOST_HEADER):
        raise _damaged(where, f"a header of {length:,} bytes in a file of {len(data):,}")
    try:
        header = parsed_json(data[8 : 8 + length], most_bytes=MOST_HEADER)
    except ValueError as problem:
        raise _damaged(where, f"a header of {length:,} bytes that is not JSON as expected: {problem}") from problem
    if not isinstance(header, dict):
        raise _damaged(where, f"a header of {length:,} bytes without names")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(where, f"metadata of {len(str(metadata))} characters that are not texts by name")
    tensors = {name: _tensor(where, name, entry, 8 + length, len(data)) for name, entry in header.items()}
    _require_no_gaps(where, tensors, 8 + length, len(data))
    return tensors, metadata


def _tensor(where: str, name: str, entry: object, first: int, size: int) -> StoredTensor:
    fields = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = str(fields.get("dtype")), _counts(fields.get("shape")), _counts(fields.get("data_offsets"))
    if dtype not in SIZES or shape is None or offsets is None or len(offsets) != 2:
        stated = ", ".join(f"{key} {fields.get(key)!s:.60}" for key in ("dtype", "shape", "data_offsets"))
        raise _damaged(where, f"tensor {name[:60]!r} with {stated}")
    needed, given = prod(shape) * SIZES[dtype], offsets[1] - offsets[0]
    if needed != given or first + offsets[1] > size:
        raise _damaged(
            where,
            f"tensor {name[:60]!r} of shape {list(shape)} ({dtype}) needs {needed:,} bytes, has {given:,} up to"
            f" {first + offsets[1]:,} of {size:,}",
        )
    return StoredTensor(dtype, shape, first + offsets[0], first + offsets[1])


def _counts(value: object) -> tuple[int, ...] | None:
    """Whole numbers from 0 on, at most eight of them; None for anything else."""
    if not isinstance(value, list) or len(value) > 8:
        return None
    counts = tuple(n for n in value if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**48)
    return counts if len(counts) == len(value) else None


def _require_no_gaps(where: str, tensors: Mapping[str, StoredTensor], first: int, size: int) -> None:
    end = first
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != end:
            kind = "overlaps the one before" if tensor.start < end else "leaves a gap before it"
            raise _damaged(where, f"tensor {name[:60]!r} at byte {tensor.start:,} {kind}, which ends at {end:,}")
        end = tensor.end
    if end != size:
        raise _damaged(where, f"tensors that end at byte {end:,} of {size:,}")


def checked_card(where: str, metadata: Mapping[str, str]) -> dict[str, object]:
    """The card of weights under today's names, without its format.

    Raises:
        WeightsRejected: No card, or a missing, unknown or impossible field.
    """
    if "adumbra" not in metadata:
        raise _rejected(where, f"weights written by adumbra ({FORMAT})", "no such mark in the file", OURS)
    try:
        facts = current_names("card", parsed_json(metadata["adumbra"]))
    except ValueError as problem:
        raise _bad_card(where, str(problem)) from problem
    if isinstance(facts, dict) and facts.get("format") != FORMAT:
        mark = str(facts.get("format", "no such mark in the file"))[:60]
        raise _rejected(where, f"weights written by adumbra ({FORMAT})", mark, OURS)
    if wrong := CARD(facts, ""):
        raise _bad_card(where, wrong)
    assert isinstance(facts, dict)
    return {name: value for name, value in facts.items() if name != "format"}


def _require_fitting(where: str, facts: WeightsFile) -> None:
    """Refuses a card whose network would be far larger than the tensors: it would exhaust the memory when built."""
    config = facts.card["config"]
    assert isinstance(config, dict)
    widest = max(config.get("widths", [0]))
    if widest * widest > max(facts.numbers, 1):
        raise _bad_card(where, f"a level of {widest} channels, which needs {widest * widest:,} numbers or more,"
                               f" and {facts.numbers:,} numbers in the tensors")  # fmt: skip


def require_finite(where: str, data: bytes, tensors: Mapping[str, StoredTensor]) -> None:
    """Refuses weights of which a number is NaN or infinite.

    Raises:
        WeightsRejected: The error names the first such tensor and counts its numbers.
    """
    for name, tensor in tensors.items():
        if tensor.dtype in _FLOATS:
            numbers = np.frombuffer(data, _FLOATS[tensor.dtype], prod(tensor.shape), tensor.start)
            lost = int(numbers.size - np.count_nonzero(np.isfinite(numbers)))
        elif tensor.dtype == "BF16":  # The upper half of a float32: all bits of the exponent set is NaN or infinity.
            bits = np.frombuffer(data, "<u2", prod(tensor.shape), tensor.start)
            lost = int(np.count_nonzero((bits & 0x7F80) == 0x7F80))
        else:
            lost = 0
        if lost:
            counted = f"{lost:,} of {prod(tensor.shape):,} numbers of tensor {name[:60]!r} are NaN or infinite"
            raise _rejected(where, "finite weights", counted, "train again, with a lower learning rate")


def _bad_card(where: str, what: str) -> WeightsRejected:
    return _rejected(where, "a model card as adumbra train writes it", what, OURS)


def _damaged(where: str, what: str) -> WeightsRejected:
    do = f"the file is damaged: copy it again, or {OURS}"
    return _rejected(where, _EXPECTED, f"something else or a damaged file: {what}", do)


def _rejected(where: str, expected: str, actual: str, do: str) -> WeightsRejected:
    return WeightsRejected(where, expected=expected, found=actual, do=do)
