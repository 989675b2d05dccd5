"""What words in a file name or a column heading mean: the one table of synonyms."""

import re
import unicodedata
from collections.abc import Mapping

from adumbra.core.types import Modality

# Searched in this order: "dwi_adc" is an ADC map, "swan_phase" a phase, "acq-b0_trace" a b0.
MODALITY_WORDS: Mapping[Modality, str] = {
    "adc": r"d?adc(map)?|apparent",
    "phase": r"phase|pha|ph|swiphase|swanphase|swipha|swanpha",
    "b0": r"b0+|s0|s0map|dwib0|sbref",
    "flair": r"flair|t2flair|3dflair|flair3d",
    "tof": r"tof|3dtof|tof3d|angio|mra|mratof",
    "swi": r"swi|swan|swim|swimag|swanmag|t2star|t2starw|t2etoile",
    "dwi": r"dwi|dw|trace|tracew|dwitrace|diff|diffusion|isodwi|b[1-9]\d{2,3}",
}
TARGET_WORDS: Mapping[str, str] = {
    "thrombus": r"thrombus|thrombi|thr|clot|caillot",
    "brain": r"brain|brainmask|cerveau|bet",
    "lesion": r"lesion|lesions|les|infarct|infarctus|core|coeur",
}
_MASK = r"msk|mask|masks|label|labels|seg|segmentation|roi|masque|dseg"
_NOT_READ = r"probseg|prob|uncertainty|entropy|minip|mip|fa|colfa|expadc|eadc|report"
_SUSCEPTIBILITY: frozenset[Modality] = frozenset({"swi", "phase", "tof"})
UNDERSTOOD = (
    "dwi|trace|diffusion|b1000, adc, b0|s0map|sbref, flair, swi|swan|t2star, phase|pha, tof|angio|mra; "
    "masks: msk|mask|label|seg|roi with lesion|infarct or thrombus|clot or brain"
)


def words_of(name: str) -> list[str]:
    """The words of a name, lower case and without accents: letters and digits between anything else."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return [word for word in re.split(r"[^a-z0-9]+", plain) if word]


def modality_in(name: str) -> Modality | None:
    """The modality that a file's name tells, or None."""
    words = words_of(name)
    if _any(words, _NOT_READ):
        return None
    return next((modality for modality, pattern in MODALITY_WORDS.items() if _any(words, pattern)), None)


def mask_in(name: str) -> str | None:
    """The mask that a file's name tells: a target, ``"brain"``, ``"?"`` where it is a mask of it is open what, or None.

    A bare ``msk`` is the lesion's, as in ISLES'22, unless the name speaks of SWI, phase or TOF too. ``brain`` without a
    word for mask is a skull-stripped image, and ``label`` alone (BIDS' entity) needs its value.
    """
    words = words_of(name)
    if _any(words, _NOT_READ):
        return None
    target = next((target for target, pattern in TARGET_WORDS.items() if _any(words, pattern)), None)
    if target == "brain":
        return "brain" if _any(words, _MASK + "|brainmask") else None
    if target is not None:
        return target
    if not _any(words, _MASK):
        return None
    return "?" if modality_in(name) in _SUSCEPTIBILITY else "lesion"


def _any(words: list[str], pattern: str) -> bool:
    return any(re.fullmatch(pattern, word) for word in words)


def pseudonym(name: str) -> str:
    """A case's name that can be a file's: letters, digits, ``.``, ``_`` and ``-``, and no path."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "case"
