"""The quantities that rules use: numbers, flags, and the site of the occlusion, each with its label, unit and range."""

from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

Kind = Literal["number", "flag", "site"]
Site = Literal[
    "ica_cervical", "ica_intracranial", "m1", "m2_dominant", "m2_other", "mca_distal", "aca", "pca", "basilar",
    "vertebral", "none",
]  # fmt: skip
SITES: tuple[Site, ...] = get_args(Site)
"""Where the artery is occluded. ``m2_dominant`` is the dominant proximal M2, ``m2_other`` any other M2, ``mca_distal``
the M3 and beyond, and ``none`` means that no occlusion is visible."""
SITE_GROUPS: dict[str, tuple[Site, ...]] = {
    "ica": ("ica_cervical", "ica_intracranial"),
    "m2": ("m2_dominant", "m2_other"),
}
"""Sites that are known only in part: a rule that needs the segment then cannot be evaluated, and says so."""
SITE_WORDS: dict[str, str] = {
    "ica_cervical": "cervical ICA", "ica_intracranial": "intracranial ICA", "m1": "M1", "m2_dominant": "dominant "
    "proximal M2", "m2_other": "other M2", "mca_distal": "distal MCA (M3 or beyond)", "aca": "ACA", "pca": "PCA",
    "basilar": "basilar artery", "vertebral": "vertebral artery", "none": "no visible occlusion", "ica": "ICA",
    "m2": "M2",
}  # fmt: skip


@dataclass(frozen=True)
class Quantity:
    """One quantity of a case.

    Attributes:
        label: Name for a reader.
        kind: Number, flag or site.
        unit: Unit of a number; empty for a score, a share or a flag.
        low: Least plausible number.
        high: Largest plausible number.
        integer: Whether a single known number is an integer, as a score is.
        words: Phrases for a flag that is true, and for one that is false.
        may_be_undefined: Whether a draw may be nan, because the number does not exist there.
    """

    label: str
    kind: Kind = "number"
    unit: str = ""
    low: float = 0.0
    high: float = inf
    integer: bool = False
    words: tuple[str, str] = ("", "")
    may_be_undefined: bool = False


def _score(label: str, high: float) -> Quantity:
    return Quantity(label, high=high, integer=True)


def _flag(label: str, yes: str, no: str) -> Quantity:
    return Quantity(label, kind="flag", words=(yes, no))


QUANTITIES: dict[str, Quantity] = {
    "core_ml": Quantity("core", unit="ml"),
    "adc620_ml": Quantity("volume with ADC below 0.62 × 10⁻³ mm²/s", unit="ml"),
    "hypoperfusion_ml": Quantity("hypoperfusion (Tmax > 6 s)", unit="ml"),
    "tmax10_ml": Quantity("volume with Tmax > 10 s", unit="ml"),
    "mismatch_difference_ml": Quantity("mismatch (difference of volumes)", unit="ml", low=-inf),
    "mismatch_set_difference_ml": Quantity("mismatch (volume of the set difference)", unit="ml"),
    "mismatch_ratio": Quantity("mismatch ratio (hypoperfusion over core)", may_be_undefined=True),
    "aspects": _score("ASPECTS", 10.0),
    "pc_aspects": _score("PC-ASPECTS", 10.0),
    "mca_share": Quantity("lesion as a share of the MCA territory", high=1.0),
    "flair_change": _flag("FLAIR change", "marked FLAIR change in the lesion", "no marked FLAIR change in the lesion"),
    "mass_effect": _flag("mass effect", "significant mass effect", "no significant mass effect"),
    "clot_visible": _flag("whether a clot is visible", "a clot is visible", "no clot is visible"),
    "occlusion_site": Quantity("occlusion site", kind="site"),
    "collateral_flow": _flag("collateral flow", "collateral flow on angiography", "no collateral flow on angiography"),
    "perfusion_penumbra": _flag(
        "penumbra on automated perfusion imaging",
        "salvageable penumbra on automated perfusion imaging",
        "no salvageable penumbra on automated perfusion imaging",
    ),
    "evt_possible": _flag(
        "whether thrombectomy is possible", "thrombectomy is possible", "thrombectomy is not possible"
    ),
    "age": Quantity("age", unit="years", high=125.0),
    "nihss": _score("NIHSS", 42.0),
    "prestroke_mrs": _score("prestroke mRS", 5.0),
    "onset_known": _flag("whether the onset is known", "the time of onset is known", "the time of onset is unknown"),
    "hours_since_last_known_well": Quantity("time since last known well", unit="h"),
    "hours_since_recognition": Quantity("time since recognition", unit="h"),
    "hours_since_sleep_midpoint": Quantity("time since the midpoint of sleep", unit="h"),
}
"""By name, in the order in which missing ones are listed."""


def ordered(names: set[str]) -> tuple[str, ...]:
    """Names of quantities in the order of ``QUANTITIES``."""
    return tuple(name for name in QUANTITIES if name in names)
