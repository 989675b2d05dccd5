"""One examination of a BIDS data set (1.10): trace, ADC, S0, FLAIR, T2*-weighted magnitude and phase, angiography.

Data sets from before the suffixes ``_trace`` and ``_ADC`` name the same images ``_rec-TRACE_dwi``, ``_rec-ADC_dwi`` or
``_acq-ADC_dwi`` (Stroke Outcome Optimization Project, OpenNeuro ds004889). Every image that is not used is noted.

Masks are searched under ``derivatives``. Masks that a network predicted are not ground truth: a mask with uncertainty
maps beside it is ignored, and so is one with a ``_probseg`` beside it. The exception is ``derivatives/truth``, where
the phantom's ``_probseg`` holds the true share of each voxel.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from adumbra.cases.files import CaseFiles
from adumbra.cases.image_file import image_stem, is_image_name
from adumbra.cases.names import MASKS, option_for
from adumbra.cases.subjects import Subject, examinations, images_of, is_subject, subject_at
from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.types import Modality

# Pattern of the lower-case name; of two files that fit, the one whose line comes first is taken, and that is noted.
SUFFIXES: tuple[tuple[str, Modality], ...] = (
    (r"(.*_)?s0map", "b0"),
    (r"(.*_)?acq-b0+(_.*)?_trace", "b0"),
    (r"(.*_)?(acq|rec)-(b0+|s0)(_.*)?_dwi", "b0"),
    (r"(.*_)?sbref", "b0"),
    (r"(.*_)?trace", "dwi"),
    (r"(.*_)?adc", "adc"),
    (r"(.*_)?(rec|acq|desc)-d?adc(map)?(_.*)?_dwi", "adc"),
    (r"(.*_)?(rec|acq|desc)-tracew?(_.*)?_dwi", "dwi"),
    (r"(.*_)?dwi", "dwi"),
    (r"(.*_)?flair", "flair"),
    (r"(.*_)?part-phase(_.*)?_(t2starw|swi)", "phase"),
    (r"(.*_)?rec-(swi|swan)(_.*)?_t2starw", "swi"),
    (r"(.*_)?part-mag(_.*)?_t2starw", "swi"),
    (r"(.*_)?acq-(swi|swan)(_.*)?_t2starw", "swi"),
    (r"(.*_)?swi", "swi"),
    (r"(.*_)?angio", "tof"),
)
_MASK = re.compile(rf"(^|_)label-({'|'.join(MASKS)})(_.*)?_mask$")
_LESION_MASK = re.compile(r"_desc-lesion(?P<part>[A-Za-z0-9]*)(_.*)?_mask$")  # SOOP; part: Acute, Chronic
_OTHER_SPACE = re.compile(r"_space-(?!(orig|native|trace|dwi|adc|s0map|flair|swi)(_|$))", re.IGNORECASE)
_DERIVED = re.compile(r"(.*_)?(rec|acq|desc)-(e|exp)?(adc|fa|colfa|tensor|md|rd|ad)(map)?(_.*)?_dwi")
# Suffixes of images that no target needs; leaving them out needs no warning.
_NOT_NEEDED = (
    r"t1w|t2w|pdw|pdt2|unit1|t1map|t2map|r1map|inplanet[12]|bold|cbv|asl|m0scan|epi|magnitude[12]?|phase[12]|phasediff"
    r"|fieldmap|perf|cbf|fa|colfa|expadc|mask"
)


def recognises(path: Path) -> bool:
    """Whether the path is a subject (``sub-X``) or session (``sub-X/ses-Y``) with images in ``dwi``, ``anat`` ..."""
    return is_subject(path) and any(image.parent != exam.folder for exam in examinations(path)
                                    for image in images_of(exam))  # fmt: skip


def files_in(path: Path) -> CaseFiles:
    """The files of one examination.

    Raises:
        AmbiguousInput: Several sessions, or two files that fit one modality or mask equally well.
        MissingInput: No image with a known suffix.
    """
    subject = subject_at(path)
    ranked = _ranked(subject)
    if not ranked:
        raise MissingInput(
            subject.name,
            expected="BIDS names: dwi/*_trace, *_ADC, *_S0map, anat/*_FLAIR, *_part-{mag,phase}_T2starw, *_angio",
            found=", ".join(image.name for image in images_of(subject)[:8]),
            do="rename them, or name each: --dwi FILE --adc FILE ...",
        )
    scans = {modality: _first(subject, modality, options) for modality, options in ranked.items()}
    notes = tuple(note for modality, options in ranked.items() for note in _ignored_notes(modality, options))
    masks, mask_notes = _masks(subject)
    return CaseFiles(subject.name, scans, masks, notes=(*notes, *_unused_notes(subject, ranked), *mask_notes))


def _ranked(subject: Subject) -> dict[Modality, list[tuple[int, Path]]]:
    """The images of each modality with the line of ``SUFFIXES`` that they fit, best first."""
    ranked: dict[Modality, list[tuple[int, Path]]] = {}
    for image in images_of(subject):
        stem = image_stem(image).lower()
        for rank, (pattern, modality) in enumerate(SUFFIXES):
            if re.fullmatch(pattern, stem) and not _is_derived(stem, modality):
                ranked.setdefault(modality, []).append((rank, image))
                break
    return {modality: sorted(options) for modality, options in ranked.items()}


def _first(subject: Subject, role: str, options: list[tuple[int, Path]]) -> Path:
    if len(options) > 1 and options[0][0] == options[1][0]:
        raise AmbiguousInput(
            subject.name,
            expected=f"one {role} {'mask' if role in MASKS else 'file'}",
            found=f"{options[0][1].name} and {options[1][1].name}",
            do=f"name the right one: {option_for(role)}",
        )
    return options[0][1]


def _ignored_notes(modality: Modality, options: list[tuple[int, Path]]) -> tuple[Conversion, ...]:
    (_, taken), *others = options
    sentences = [f"{taken.name} was taken, {other.name} was passed over" for _, other in others]
    return tuple(Conversion("cases.bids", modality, what) for what in sentences)


def _is_derived(stem: str, modality: Modality) -> bool:
    """Whether a ``_dwi`` is a map that was computed from diffusion images, such as an exponential ADC or an FA."""
    return modality == "dwi" and _DERIVED.fullmatch(stem) is not None


def _unused_notes(subject: Subject, ranked: Mapping[Modality, list[tuple[int, Path]]]) -> tuple[Conversion, ...]:
    """One note for each image that no line of ``SUFFIXES`` fits; a warning where its suffix is unknown."""
    used = {image for options in ranked.values() for _, image in options}
    unused = [image for image in images_of(subject) if image not in used]
    return tuple(
        Conversion(
            "cases.bids",
            "case",
            f"{image.name} was not used: its name is not understood",
            warning=not re.search(rf"(^|_)({_NOT_NEEDED})$", image_stem(image).lower()),
        )
        for image in unused
    )


def _masks(subject: Subject) -> tuple[dict[str, Path], tuple[Conversion, ...]]:
    """The masks of an examination by name, and a note on each lesion mask that shows only a part of the lesions."""
    masks: dict[str, Path] = {}
    elsewhere: dict[str, Path] = {}
    partial: list[Path] = []
    for path in (p for folder in subject.derivatives() for p in sorted(folder.rglob("*_mask.*")) if is_image_name(p)):
        stem = image_stem(path)
        label, lesion = _MASK.search(stem), _LESION_MASK.search(stem)
        if (label is None and lesion is None) or _is_predicted(path) or _OTHER_SPACE.search(stem):
            continue
        if label is None and lesion is not None and lesion["part"]:
            partial.append(path)
            continue
        name = "lesion" if label is None else label[2]
        if label is not None and re.search(r"_space-(?!orig)", stem):
            elsewhere.setdefault(name, path)  # taken where no mask lies on the grid of its own scan
            continue
        if name in masks:
            _first(subject, name, [(0, masks[name]), (0, path)])
        masks[name] = path
    masks = elsewhere | masks
    return masks, tuple(_partial_note(path, alone="lesion" not in masks) for path in partial)


def _partial_note(path: Path, *, alone: bool) -> Conversion:
    what = f"{path.name} shows a part of the lesions and was not used as their mask; name it as the truth to use it"
    return Conversion("cases.bids", "lesion", what, warning=alone)


def _is_predicted(mask: Path) -> bool:
    stem = image_stem(mask)[: -len("_mask")]
    if any(mask.parent.glob(f"{stem}_desc-*_uncertainty.*")):
        return True
    return any(mask.parent.glob(f"{stem}_probseg.*")) and "/derivatives/truth/" not in mask.as_posix()
