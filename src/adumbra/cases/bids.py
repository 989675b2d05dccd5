"""One examination of a BIDS data set (1.10): trace, ADC, S0, FLAIR, T2*-weighted magnitude and phase, angiography.

Masks are looked for under ``derivatives``. Outlines that a network predicted are no truth: a mask with uncertainty maps
beside it is passed over, and so is one with a ``_probseg`` beside it, unless it lies in ``derivatives/truth``, where
the phantom keeps each voxel's true share.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from adumbra.cases.files import Files
from adumbra.cases.probe import image_stem, is_image_name
from adumbra.cases.sidecar import LEAST_WEIGHTED, bvals_beside
from adumbra.cases.subjects import Subject, examinations, images_of, is_subject, subject_at
from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.types import Modality

# Pattern of the name after sub- and ses-, lower case; of two that fit, the upper one is taken, and that is noted.
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
_MASK = re.compile(r"(^|_)label-(lesion|thrombus|hypoperfusion|brain)(_.*)?_mask$")


def recognises(path: Path) -> bool:
    """Whether it is a subject (``sub-X``) or session (``sub-X/ses-Y``) with its images in ``dwi``, ``anat`` ..."""
    return is_subject(path) and any(image.parent != exam.folder for exam in examinations(path)
                                    for image in images_of(exam))  # fmt: skip


def files_in(path: Path) -> Files:
    """The files of one examination.

    Raises:
        AmbiguousInput: Several sessions, or two files that are equally good for one modality or mask.
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
    notes = tuple(note for modality, options in ranked.items() for note in _passed_over(modality, options))
    return _volumes(Files(subject.name, scans, _masks(subject), notes=notes))


def _ranked(subject: Subject) -> dict[Modality, list[tuple[int, Path]]]:
    """The images by modality, each with the line of ``SUFFIXES`` that it fits, best first."""
    ranked: dict[Modality, list[tuple[int, Path]]] = {}
    for image in images_of(subject):
        bare = image_stem(image).lower()
        for rank, (pattern, modality) in enumerate(SUFFIXES):
            if re.fullmatch(pattern, bare):
                ranked.setdefault(modality, []).append((rank, image))
                break
    return {modality: sorted(options) for modality, options in ranked.items()}


def _first(subject: Subject, role: str, options: list[tuple[int, Path]]) -> Path:
    if len(options) > 1 and options[0][0] == options[1][0]:
        raise AmbiguousInput(
            subject.name,
            expected=f"one {role} file",
            found=f"{options[0][1].name} and {options[1][1].name}",
            do=f"name the one that is meant: --{role} FILE",
        )
    return options[0][1]


def _passed_over(modality: Modality, options: list[tuple[int, Path]]) -> tuple[Conversion, ...]:
    (_, taken), *others = options
    whats = [f"{taken.name} was taken, {other.name} was passed over" for _, other in others]
    return tuple(Conversion("cases.bids", modality, what) for what in whats)


def _volumes(files: Files) -> Files:
    """Which volumes of a ``_dwi`` series are meant: clear where its .bval names one with b > 0, and one without."""
    path = files.scans.get("dwi")
    bvals = bvals_beside(path) if path is not None else ()
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
        told = _MASK.search(stem)
        if told is None or _predicted(path) or re.search(r"_space-(?!orig)", stem):
            continue
        if told[2] in masks:
            _first(subject, f"{told[2]} mask", [(0, masks[told[2]]), (0, path)])
        masks[told[2]] = path
    return masks


def _predicted(mask: Path) -> bool:
    stem = image_stem(mask)[: -len("_mask")]
    if any(mask.parent.glob(f"{stem}_desc-*_uncertainty.*")):
        return True
    return any(mask.parent.glob(f"{stem}_probseg.*")) and "/derivatives/truth/" not in mask.as_posix()
