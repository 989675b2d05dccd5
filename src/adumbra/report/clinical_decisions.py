"""The sections of the clinical document on cues, mismatch and rules."""

from collections.abc import Iterator, Mapping
from typing import Any

from adumbra.report.document import Section, Table
from adumbra.report.number_format import format_row_interval, format_value

Plain = Mapping[str, Any]
FACT_NAMES: Mapping[str, str] = {
    "nihss": "NIHSS", "prestroke_mrs": "prestroke mRS", "evt_possible": "thrombectomy possible",
    "perfusion_penumbra": "penumbra on automated perfusion imaging",
}  # fmt: skip
"""Names of facts that are not their identifiers with spaces."""


def rule_sections(clinic: Plain) -> Iterator[Section]:
    """The section on mismatch and rules, with the verdicts that are met first."""
    mismatch = (clinic.get("hypoperfusion") or {}).get("mismatch")
    paragraphs = [str(clinic["rules_note"])]
    tables = []
    if mismatch is not None:
        names = (
            "core_ml",
            "hypoperfusion_ml",
            "mismatch_difference_ml",
            "mismatch_set_difference_ml",
            "mismatch_ratio",
        )
        rows = tuple(
            (str(mismatch[n]["label"]), format_value(mismatch[n]["median"]), format_row_interval(mismatch[n]))
            for n in names
        )
        caption = "Core, estimated hypoperfusion and mismatch over the draws, by both definitions, in ml."
        tables.append(Table(("Quantity", "Median", "Interval"), rows, caption, (1, 2)))
        paragraphs += mismatch["notes"]
    paragraphs += image_mismatch(clinic, "dwi_flair", "dwi_swi")
    facts = clinic.get("facts") or {}
    stated = "; ".join(
        f"{FACT_NAMES.get(name, name.replace('_', ' '))} {_fact(value)}" for name, value in facts.items()
    )
    paragraphs.append(f"Known besides the images: {stated}." if stated else "Nothing is known besides the images.")
    rules = tuple((str(rule["title"]), _verdict(rule), _reason(rule), str(rule["doi"])) for rule in clinic["rules"])
    header = ("Trial or guideline", "Verdict", "Reason", "Source")
    tables.append(Table(header, rules, "Criteria of published rules. A verdict is no recommendation."))
    yield Section("Mismatch and rules", tuple(dict.fromkeys(paragraphs)), tuple(tables))


def _reason(rule: Plain) -> str:
    """The sentence of a verdict without its title and its status, which have columns of their own."""
    text = str(rule["sentence"]).removeprefix(f"{rule['title']}: ")
    return text.partition(": ")[2] or text


def _verdict(rule: Plain) -> str:
    probability = rule["probability"]
    return f"borderline, {probability:.2f}" if rule["status"] == "borderline" else str(rule["status"])


def cue_rows(clinic: Plain) -> list[Plain]:
    """The cues that were computed, as plain values."""
    rows = (clinic.get("cues") or {}).values()
    return [row for row in rows if isinstance(row, dict) and "sentence" in row]


def image_mismatch(clinic: Plain, *names: str) -> list[str]:
    """The sentences of some kinds of mismatch of images; those that were not computed are left out."""
    mismatch = clinic.get("image_mismatch") or {}
    sentences = [str(mismatch[name]["sentence"]) for name in names if mismatch.get(name)]
    return [f"{text[:1].upper()}{text[1:]}" for text in sentences]


def _fact(value: object) -> str:
    return (
        {True: "yes", False: "no"}[value]
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
