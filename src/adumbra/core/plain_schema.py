"""What plain values may be: rules for the fields of a card or a configuration, checked without building anything.

A rule returns a sentence on the first value that does not keep it, or None. ``Fields`` names the field, so that the
sentence says where the value stands: ``"optimiser.steps = 'many', expected a whole number from 1 to 1e+08"``.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Rule: TypeAlias = Callable[[object, str], str | None]
"""Takes a value and the name of its field; returns what is wrong with it, or None."""


@dataclass(frozen=True)
class Number:
    """A finite number in a closed range; truth values are no numbers.

    Attributes:
        low: Least accepted value.
        high: Largest accepted value.
        whole: Whether it must be a whole number.
    """

    low: float
    high: float
    whole: bool = False

    def __call__(self, value: object, name: str) -> str | None:
        """What is wrong with the value; None where it is such a number."""
        is_number = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        if is_number and self.low <= value <= self.high:  # type: ignore[operator]
            return None
        kind = "a whole number" if self.whole else "a number"
        return f"{name} = {_shown(value)}, expected {kind} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Choice:
    """One of some words.

    Attributes:
        words: The accepted words.
    """

    words: tuple[str, ...]

    def __call__(self, value: object, name: str) -> str | None:
        """What is wrong with the value; None where it is one of the words."""
        if isinstance(value, str) and value in self.words:
            return None
        return f"{name} = {_shown(value)}, expected {' or '.join(self.words)}"


@dataclass(frozen=True)
class Kind:
    """A value of a type of JSON.

    Attributes:
        type: ``str``, ``bool``, ``dict`` or ``list``.
        what: The type in words.
    """

    type: type
    what: str

    def __call__(self, value: object, name: str) -> str | None:
        """What is wrong with the value; None where it has the type."""
        return None if isinstance(value, self.type) else f"{name} = {_shown(value)}, expected {self.what}"


TEXT, FLAG, OBJECT = Kind(str, "a text"), Kind(bool, "true or false"), Kind(dict, "an object")


@dataclass(frozen=True)
class Items:
    """A list whose items keep one rule.

    Attributes:
        rule: The rule of each item.
        least: Least number of items.
        most: Largest number of items.
    """

    rule: Rule
    least: int = 0
    most: int = 64

    def __call__(self, value: object, name: str) -> str | None:
        """What is wrong with the list or its first wrong item; None where nothing is."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            size = f" of {len(value)} items" if isinstance(value, list) else ""
            return f"{name} = {_shown(value)}{size}, expected a list of {self.least} to {self.most} items"
        return next((wrong for n, item in enumerate(value) if (wrong := self.rule(item, f"{name}[{n}]"))), None)


@dataclass(frozen=True)
class Either:
    """A value that keeps one of several rules.

    Attributes:
        rules: The rules; the sentence is that of the last one.
        none: Whether null is accepted too.
    """

    rules: tuple[Rule, ...]
    none: bool = False

    def __call__(self, value: object, name: str) -> str | None:
        """What is wrong with the value by the last rule; None where one of them is kept."""
        if value is None and self.none:
            return None
        wrong = [rule(value, name) for rule in self.rules]
        return None if None in wrong else f"{wrong[-1]}{' or null' * self.none}"


@dataclass(frozen=True)
class Fields:
    """An object with known fields.

    Attributes:
        rules: The rule of each field.
        required: Names of the fields that must be there.
        open: Whether further fields are accepted.
    """

    rules: Mapping[str, Rule]
    required: tuple[str, ...] = ()
    open: bool = False

    def __call__(self, value: object, name: str) -> str | None:
        """The first unknown, missing or wrong field; None where there is none."""
        if not isinstance(value, dict):
            return f"{name or 'the content'} = {_shown(value)}, expected an object"
        prefix = f"{name}." if name else ""
        for key in value:
            if key not in self.rules and not self.open:
                return f"the unknown key {prefix}{_shown(key)}{_suggestion(str(key), tuple(self.rules))}"
        if missing := [key for key in self.required if key not in value]:
            return f"{len(missing)} missing key{'s' * (len(missing) > 1)}: {prefix}{', '.join(missing)}"
        return next((wrong for key, rule in self.rules.items() if key in value
                     and (wrong := rule(value[key], f"{prefix}{key}"))), None)  # fmt: skip


def _suggestion(key: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(key[:60], known, n=1)
    return f" (similar to {close[0]})" if close else f", expected one of {', '.join(known)}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
