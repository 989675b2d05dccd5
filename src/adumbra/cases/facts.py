"""Facts of a patient besides the images, from the row of a manifest or the participants file of a BIDS data set.

A heading is recognised by its words, in any case and with any separator. A cell that cannot be understood is left out,
and a note says so: an unusual table must not keep a case from being segmented.
"""

import csv
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adumbra.cases import bids, manifest
from adumbra.cases.names import pseudonym, words_of
from adumbra.core.case import Conversion
from adumbra.core.clinical_facts import NO_FACTS, OCCLUSION_SITES, ClinicalFacts

STAGE = "cases.facts"
PARTICIPANTS = "participants.tsv"
HEADINGS: Mapping[str, str] = {
    "age": "age|ageyears|agey",
    "nihss": "nihss|nihssadmission|admissionnihss|nihssbaseline|baselinenihss|nihssinitial|nihss0",
    "prestroke_mrs": "prestrokemrs|mrsprestroke|premorbidmrs|mrspremorbid|premrs|mrspre|mrspreadmission",
    "onset_known": "onsetknown|knownonset",
    "hours_since_last_known_well": "hourssincelastknownwell|lastknownwellhours|lkwhours|hourslkw",
    "hours_since_recognition": "hourssincerecognition|recognitionhours|hourssincediscovery",
    "hours_since_sleep_midpoint": "hourssincesleepmidpoint|sleepmidpointhours",
    "occlusion_site": "occlusionsite|siteocclusion|occludedartery",
    "mass_effect": "masseffect",
    "collateral_flow": "collateralflow",
    "perfusion_penumbra": "perfusionpenumbra",
    "evt_possible": "evtpossible|thrombectomypossible",
}
"""Headings of each fact, words joined in lower case, as regular expressions."""
_FLAGS = {"true": True, "yes": True, "1": True, "oui": True, "false": False, "no": False, "0": False, "non": False}
_NOTHING = ("", "-", "na", "n/a", "nan", "unknown")
_INTEGERS = ("nihss", "prestroke_mrs")
_BOOLEANS = ("onset_known", "mass_effect", "collateral_flow", "perfusion_penumbra", "evt_possible")
_LIMITS = {"age": 125.0, "nihss": 42.0, "prestroke_mrs": 5.0}
_LEVELS = 4  # Folders above a subject's files in which the participants file is sought.


def facts_beside(
    source: str | Path | Mapping[Any, Path],
    name: str,
    *,
    row: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> tuple[ClinicalFacts, tuple[Conversion, ...]]:
    """The facts that a table beside the images states of one case.

    Args:
        source: The case, as ``cases.registry.open_case`` takes it.
        name: Name of the case.
        row: Row of a manifest.
        columns: Role to heading, for the columns of a manifest under other names.

    Returns:
        The facts, and a note for each cell that was not understood and for the source.
    """
    if isinstance(source, Mapping):
        return NO_FACTS, ()
    path = Path(source)
    if manifest.recognises(path):
        return facts_of(manifest.cells_of(path, row=row, columns=columns), path.name)
    if not bids.recognises(path):
        return NO_FACTS, ()
    for folder in [path, *path.resolve().parents][: _LEVELS + 1]:
        table = folder / PARTICIPANTS
        if table.is_file():
            return facts_of(_participant(table, name), PARTICIPANTS)
    return NO_FACTS, ()


def _participant(table: Path, name: str) -> dict[str, str]:
    """The cells of a participant by heading; empty where the table cannot be read or has no such row."""
    wanted = name.partition("_")[0]
    try:
        text = table.read_text("utf-8-sig", errors="replace")
        rows = [*csv.DictReader(io.StringIO(text, newline=""), delimiter="\t")]
    except (OSError, csv.Error):
        return {}
    chosen = [
        r for r in rows if pseudonym(r.get("participant_id") or "-") == wanted or r.get("participant_id") == wanted
    ]
    return {key: value for key, value in chosen[0].items() if key and isinstance(value, str)} if chosen else {}


def facts_of(cells: Mapping[str, str], table: str) -> tuple[ClinicalFacts, tuple[Conversion, ...]]:
    """The facts in some cells by heading.

    Args:
        cells: Content by heading.
        table: Name of the file, for the notes.
    """
    values: dict[str, float | int | bool | str] = {}
    notes = []
    for heading, cell in cells.items():
        joined = "".join(words_of(heading))
        fact = next((fact for fact, names in HEADINGS.items() if re.fullmatch(names, joined)), None)
        text = cell.strip()
        if fact is None or fact in values or text.lower() in _NOTHING:
            continue
        value = _value(fact, text)
        if value is None:
            what = f"{fact} was not understood in {table} and is not used"
            notes.append(Conversion(STAGE, "case", what, warning=True))
        else:
            values[fact] = value
    if values:
        what = f"Taken from {table}: {', '.join(values)}"
        notes.append(Conversion(STAGE, "case", what))
    return ClinicalFacts(**values), tuple(notes)  # type: ignore[arg-type]  # each value has the type of its fact


def _value(fact: str, text: str) -> float | int | bool | str | None:
    """The value of a cell; None where it is not understood."""
    if fact in _BOOLEANS:
        return _FLAGS.get(text.lower())
    if fact == "occlusion_site":
        return _site(text)
    try:
        number = float(text.replace(",", ".").removesuffix("+"))  # BIDS caps ages as 89+
    except ValueError:
        return None
    if not math.isfinite(number) or not 0.0 <= number <= _LIMITS.get(fact, math.inf):
        return None
    if fact in _INTEGERS:
        return int(number) if number == int(number) else None
    return number


def _site(text: str) -> str | None:
    """The code of an occlusion site; the words of a reader are accepted in any case."""
    joined = "_".join(words_of(text))
    return joined if joined in OCCLUSION_SITES else None
