"""The file of rules, ``rules.toml``, read and checked. Every error names the rule."""

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, get_args

from adumbra.clinic.rules.criteria import Combination, Comparison, Criterion, Group, OtherRule, Rule, SourceKind
from adumbra.clinic.rules.quantities import QUANTITIES, SITES
from adumbra.core.errors import InputRejected

FILE_NAME = "rules.toml"
DOI = re.compile(r"10\.\d{4,9}/\S+")
TREATMENTS = ("thrombectomy", "thrombolysis")
LIMITS = ("at_least", "above", "at_most", "below")
TEXTS = ("id", "title", "trial", "doi", "treatment", "statement", "source_kind", "source")
RULE_KEYS = {*TEXTS, "year", "note", "criteria"}
COMPARISON_KEYS = {"quantity", *LIMITS, "is", "one_of", "verified", "note"}
GROUP_KEYS = {*get_args(Combination), "label"}


def load_rules() -> tuple[Rule, ...]:
    """All rules of the package, in the order of their file.

    Raises:
        InputRejected: A rule of the file is not valid.
    """
    text = (resources.files("adumbra.clinic.rules") / FILE_NAME).read_text("utf-8")
    return rules_from_toml(text)


def rules_from_toml(text: str) -> tuple[Rule, ...]:
    """The rules of a text in the format of ``rules.toml``.

    A rule may refer to rules that stand before it.

    Raises:
        InputRejected: The text is no TOML, or a rule is not valid: a field is missing or unknown, a quantity is
            unknown, a criterion does not fit its quantity, or two rules have the same id.
    """
    try:
        tables = tomllib.loads(text).get("rule", [])
    except tomllib.TOMLDecodeError as error:
        raise _rejected(FILE_NAME, "valid TOML", str(error)) from error
    rules: dict[str, Rule] = {}
    for number, table in enumerate(tables, start=1):
        rule = _rule(table, number, rules)
        if rule.id in rules:
            raise _rejected(rule.id, "an id of its own", "a second rule with this id")
        rules[rule.id] = rule
    return tuple(rules.values())


def _rule(table: Mapping[str, Any], number: int, earlier: Mapping[str, Rule]) -> Rule:
    name = str(table.get("id") or f"number {number}")
    for key in TEXTS:
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise _rejected(name, f"a text for {key}", repr(table.get(key)))
    if unknown := sorted(table.keys() - RULE_KEYS):
        raise _rejected(name, f"the fields {', '.join(sorted(RULE_KEYS))}", f"also {', '.join(unknown)}")
    if not DOI.fullmatch(table["doi"]):
        raise _rejected(name, "a digital object identifier such as 10.1056/NEJMoa1713973", table["doi"])
    if type(table.get("year")) is not int or not 1990 <= table["year"] <= 2100:
        raise _rejected(name, "a year of publication", repr(table.get("year")))
    for key, allowed in (("treatment", TREATMENTS), ("source_kind", get_args(SourceKind))):
        if table[key] not in allowed:
            raise _rejected(name, f"{key}: one of {', '.join(allowed)}", table[key])
    criteria = _criteria(table.get("criteria"), name, earlier)
    return Rule(
        **{key: table[key] for key in TEXTS},
        year=table["year"],
        criteria=criteria,
        note=table.get("note", ""),
    )


def _criteria(items: object, name: str, earlier: Mapping[str, Rule]) -> tuple[Criterion, ...]:
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise _rejected(name, "at least one criterion", repr(items))
    return tuple(_criterion(item, name, earlier) for item in items)


def _criterion(item: Mapping[str, Any], name: str, earlier: Mapping[str, Rule]) -> Criterion:
    if "quantity" in item:
        return _comparison(item, name)
    if "rule" in item:
        if item.keys() != {"rule"} or item["rule"] not in earlier:
            raise _rejected(name, f"a rule before it: {', '.join(earlier)}", repr(dict(item)))
        return OtherRule(earlier[item["rule"]])
    combinations = [key for key in get_args(Combination) if key in item]
    if len(combinations) != 1 or item.keys() - GROUP_KEYS:
        raise _rejected(name, "a quantity, a rule, all_of, any_of or none_of", repr(dict(item)))
    parts = _criteria(item[combinations[0]], name, earlier)
    return Group(combinations[0], parts, item.get("label", ""))


def _comparison(item: Mapping[str, Any], name: str) -> Comparison:
    quantity = item["quantity"]
    if quantity not in QUANTITIES:
        raise _rejected(name, f"one of the quantities {', '.join(QUANTITIES)}", repr(quantity))
    if unknown := sorted(item.keys() - COMPARISON_KEYS):
        raise _rejected(name, f"{quantity} with the fields {', '.join(sorted(COMPARISON_KEYS))}", ", ".join(unknown))
    limits = {key: float(item[key]) for key in LIMITS if type(item.get(key)) in {int, float}}
    given = {
        "number": bool(limits) and limits.keys() == item.keys() & set(LIMITS),
        "flag": isinstance(item.get("is"), bool),
        "site": isinstance(item.get("one_of"), list) and bool(item["one_of"]) and set(item["one_of"]) <= set(SITES),
    }
    kind = QUANTITIES[quantity].kind
    if [key for key, fits in given.items() if fits] != [kind] or not isinstance(item.get("verified", True), bool):
        expected = {"number": f"limits ({', '.join(LIMITS)})", "flag": "is = true or false", "site": "one_of = sites"}
        raise _rejected(name, f"{quantity} with {expected[kind]}", repr(dict(item)))
    lowest = max((limits[key] for key in ("at_least", "above") if key in limits), default=float("-inf"))
    highest = min((limits[key] for key in ("at_most", "below") if key in limits), default=float("inf"))
    if lowest > highest:
        raise _rejected(name, f"{quantity} with a lower limit below the upper one", f"{lowest:g} and {highest:g}")
    return Comparison(
        quantity,
        flag=item.get("is"),
        one_of=tuple(item.get("one_of", ())),
        verified=item.get("verified", True),
        note=item.get("note", ""),
        **limits,
    )


def _rejected(rule: str, expected: str, actual: str) -> InputRejected:
    return InputRejected(f"rule {rule}", expected=expected, found=actual, do=f"correct the rule in {FILE_NAME}")
