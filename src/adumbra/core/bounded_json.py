"""Reads JSON from files that others wrote: of bounded size and depth, with finite numbers and each key once."""

import json
import math
from collections.abc import Iterator

MOST_BYTES = 16 * 2**20
MOST_LEVELS = 32


def parsed_json(stored: bytes | str, *, most_bytes: int = MOST_BYTES) -> object:
    """The plain values of a JSON text.

    Args:
        stored: The text, or its bytes in UTF-8 (with or without a byte order mark).
        most_bytes: Largest accepted length.

    Raises:
        ValueError: Too long, nested more than ``MOST_LEVELS`` deep, not JSON, a key twice in one object, or a number
            that is NaN or infinite. The message says which, with its numbers.
    """
    if len(stored) > most_bytes:
        raise ValueError(f"{len(stored):,} bytes of JSON, where {most_bytes:,} are accepted")
    text = stored.decode("utf-8-sig") if isinstance(stored, bytes) else stored.removeprefix("\ufeff")
    try:
        value = json.loads(
            text, parse_constant=_not_finite, parse_float=_finite_number, object_pairs_hook=_without_duplicates
        )
    except RecursionError as problem:
        raise ValueError(f"JSON nested more than {MOST_LEVELS} levels deep") from problem
    if _deeper_than(value, MOST_LEVELS):
        raise ValueError(f"JSON nested more than {MOST_LEVELS} levels deep")
    return value


def _finite_number(word: str) -> float:
    number = float(word)
    return number if math.isfinite(number) else _not_finite(word)


def _not_finite(word: str) -> float:
    raise ValueError(f"{word[:20]}, which is not a finite number")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:40]!r} {names.count(twice)} times")
    return values


def _deeper_than(value: object, levels: int) -> bool:
    """Whether containers are nested deeper than that; no recursion, so that any depth is safe."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [child for parent in layer for child in _children(parent)]
        if not layer:
            return False
    return True


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
