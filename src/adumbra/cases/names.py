"""What the words of a file name or a column heading mean: the one table of synonyms."""

import re
import unicodedata
from collections.abc import Mapping

from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import TARGETS, Modality

MASKS = (*TARGETS, "brain")
"""Names of the masks that a case may have."""

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
# Searched in this order: "thrombus_core" is a thrombus, "brain_lesion" is not a lesion mask.
MASK_WORDS: Mapping[str, str] = {
    "thrombus": TARGET_SPECS["thrombus"].file_words,
    "brain": r"brain|brainmask|cerveau|bet",
    "lesion": TARGET_SPECS["lesion"].file_words,
    "hypoperfusion": TARGET_SPECS["hypoperfusion"].file_words,
}
# Images have these words in their names too, such as a skull-stripped brain or a map of Tmax.
_NEEDS_MASK_WORD = ("brain", "hypoperfusion")
_MASK_WORD = r"msk|mask|masks|label|labels|seg|segmentation|roi|masque|dseg"
_NOT_READ = r"probseg|prob|uncertainty|entropy|minip|mip|fa|colfa|expadc|eadc|report"
_SUSCEPTIBILITY: frozenset[Modality] = frozenset({"swi", "phase", "tof"})
UNDERSTOOD = (
    "dwi|trace|diffusion|b1000, adc, b0|s0map|sbref, flair, swi|swan|t2star, phase|pha, tof|angio|mra; "
    "masks: msk|mask|label|seg|roi with lesion|infarct, thrombus|clot, hypoperfusion or brain"
)


def option_for(name: str) -> str:
    """The option of the command line that takes the file of a modality or mask, for error messages."""
    if name == "brain":
        return "--brain-mask FILE"
    return "--truth FILE" if name in TARGETS else f"--{name} FILE"


def words_of(name: str) -> list[str]:
    """The words of a name, lower case and without accents; anything but letters and digits separates words."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return [word for word in re.split(r"[^a-z0-9]+", plain) if word]


def modality_in(name: str) -> Modality | None:
    """The modality that a file name states; None where it states none."""
    words = words_of(name)
    if _any(words, _NOT_READ):
        return None
    return next((modality for modality, pattern in MODALITY_WORDS.items() if _any(words, pattern)), None)


def mask_in(name: str) -> str | None:
    """The mask that a file name states.

    A bare ``msk`` is a lesion mask, as in ISLES'22, unless the name states SWI, phase or TOF too. ``brain`` without a
    word for mask is a skull-stripped image, ``tmax`` without one is a map of Tmax, and ``label`` alone (an entity of
    BIDS) needs its value.

    Returns:
        A name of ``MASKS``; ``"?"`` for a mask of an unknown structure; None where the name states no mask.
    """
    words = words_of(name)
    if _any(words, _NOT_READ):
        return None
    is_mask = _any(words, _MASK_WORD + "|brainmask")
    mask = next((mask for mask, pattern in MASK_WORDS.items() if _any(words, pattern)), None)
    if mask is not None:
        return mask if is_mask or mask not in _NEEDS_MASK_WORD else None
    if not is_mask:
        return None
    return "?" if modality_in(name) in _SUSCEPTIBILITY else "lesion"


def _any(words: list[str], pattern: str) -> bool:
    return any(re.fullmatch(pattern, word) for word in words)


def pseudonym(name: str) -> str:
    """A case name that is safe as a file name: letters, digits, ``.``, ``_`` and ``-``, never a path."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "case"
