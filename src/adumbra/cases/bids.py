"""One examination of a BIDS data set (1.10): trace, ADC, S0, FLAIR, T2*-weighted magnitude and phase, angiography.

Masks are searched under ``derivatives``. Masks that a network predicted are not ground truth: a mask with uncertainty
maps beside it is ignored, and so is one with a ``_probseg`` beside it. The exception is ``derivatives/truth``, where
the phantom's ``_probseg`` holds the true share of each voxel.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from adumbra.cases.files import CaseFiles
from adumbra.cases.image_file import image_stem, is_image_name
from adumbra.cases.names import MASKS, option_for
from adumbra.cases.sidecar import LEAST_WEIGHTED, read_bvals
from adumbra.cases.subjects import Subject, examinations, images_of, is_subject, subject_at
from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.types import Modality

# Pattern of the lower-case name; of two files that fit, the one whose line comes first is taken, and that is noted.
SUFFIXES: tuple[tuple[str, Modality], ...] = (
    (r"(.*_)?s0map", "b0"),
    (r"(.*_)?acq-b0+(_.*)?_trace", "b0"),
    (r"(.*_)?acq-b0+(_.*)?_dwi", "b0"),
    (r"(.*_)?sbref", "b0"),
    (r"(.*_)?trace", "dwi"),
    (r"(.*_)?dwi", "dwi"),
    (r"(.*_)?adc", "adc"),
    (r"(.*_)?flair", "flair"),
    (r"(.*_)?part-phase(_.*)?_(t2starw|swi)", "phase"),
    (r"(.*_)?rec-(swi|swan)(_.*)?_t2starw", "swi"),
    (r"(.*_)?part-mag(_.*)?_t2starw", "swi"),
    (r"(.*_)?acq-(swi|swan)(_.*)?_t2starw", "swi"),
    (r"(.*_)?swi", "swi"),
    (r"(.*_)?angio", "tof"),
)
_MASK = re.compile(rf"(^|_)label-({'|'.join(MASKS)})(_.*)?_mask$")


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
    return _with_volumes(CaseFiles(subject.name, scans, _masks(subject), notes=notes))


def _ranked(subject: Subject) -> dict[Modality, list[tuple[int, Path]]]:
    """The images of each modality with the line of ``SUFFIXES`` that they fit, best first."""
    ranked: dict[Modality, list[tuple[int, Path]]] = {}
    for image in images_of(subject):
        stem = image_stem(image).lower()
        for rank, (pattern, modality) in enumerate(SUFFIXES):
            if re.fullmatch(pattern, stem):
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


def _with_volumes(files: CaseFiles) -> CaseFiles:
    """The files with the volumes of a ``_dwi`` series chosen, where its .bval leaves no choice.

    That is one volume with b > 0; and for b0, one volume with b = 0.
    """
    path = files.scans.get("dwi")
    bvals = read_bvals(path) if path is not None else ()
    weighted = [k for k, b in enumerate(bvals) if b >= LEAST_WEIGHTED]
    plain = [k for k, b in enumerate(bvals) if b < LEAST_WEIGHTED]
    if path is None or len(bvals) < 2 or len(weighted) != 1:
        return files
    volumes: Mapping[Modality, int] = {"dwi": weighted[0]}
    if len(plain) != 1 or "b0" in files.scans:
        return replace(files, volumes=volumes)
    return replace(files, scans={**files.scans, "b0": path}, volumes={**volumes, "b0": plain[0]})


def _masks(subject: Subject) -> dict[str, Path]:
    masks: dict[str, Path] = {}
    for path in (p for folder in subject.derivatives() for p in sorted(folder.rglob("*_mask.*")) if is_image_name(p)):
        stem = image_stem(path)
        match = _MASK.search(stem)
        if match is None or _is_predicted(path) or re.search(r"_space-(?!orig)", stem):
            continue
        name = match[2]
        if name in masks:
            _first(subject, name, [(0, masks[name]), (0, path)])
        masks[name] = path
    return masks


def _is_predicted(mask: Path) -> bool:
    stem = image_stem(mask)[: -len("_mask")]
    if any(mask.parent.glob(f"{stem}_desc-*_uncertainty.*")):
        return True
    return any(mask.parent.glob(f"{stem}_probseg.*")) and "/derivatives/truth/" not in mask.as_posix()
