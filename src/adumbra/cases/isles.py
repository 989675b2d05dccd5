"""ISLES'22 (Hernandez Petzsche et al., Sci Data 9:762, 2022): BIDS in spirit, lower-case suffixes, masks beside.

Two layouts are in use, ``rawdata/sub-X/ses-Y/sub-X_ses-Y_{dwi,adc,flair}.nii.gz`` and
``sub-X/ses-Y/{dwi,anat}/..._{dwi,adc,FLAIR}.nii.gz``; the lesion mask is ``derivatives/sub-X/ses-Y/..._msk.nii.gz``.
"""

from pathlib import Path

from adumbra.cases.files import Files
from adumbra.cases.names import modality_in
from adumbra.cases.probe import image_stem, is_image_name
from adumbra.cases.subjects import Subject, examinations, images_of, is_subject, subject_at
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.types import Modality


def recognises(path: Path) -> bool:
    """Whether it is a subject of ISLES'22: ``sub-strokecase…``, or its files, and no other, in one folder."""
    if not is_subject(path):
        return False
    exams = examinations(path)
    images = [(image, exam) for exam in exams for image in images_of(exam)]
    flat = all(
        image.parent == exam.folder and _suffix(image) in ("dwi", "adc", "flair", "msk") for image, exam in images
    )
    return bool(exams) and (flat or exams[0].subject.startswith("sub-strokecase"))


def files_in(path: Path) -> Files:
    """The files of one subject's session.

    Raises:
        AmbiguousInput: Several sessions, or two files for one modality or mask.
        MissingInput: No image with a known suffix.
    """
    subject = subject_at(path)
    scans: dict[Modality, Path] = {}
    for image in images_of(subject):
        modality = modality_in(_suffix(image))
        if modality is not None:
            _refuse_two(subject, modality, scans.get(modality), image)
            scans[modality] = image
    if not scans:
        found = ", ".join(image.name for image in images_of(subject)[:8])
        expected = "files ending in _dwi, _adc, _flair"
        raise MissingInput(subject.name, expected=expected, found=found, do="rename them, or name each: --dwi FILE ...")
    return Files(subject.name, scans, _masks(subject))


def _suffix(image: Path) -> str:
    return image_stem(image).rpartition("_")[2].lower()


def _masks(subject: Subject) -> dict[str, Path]:
    folders = [subject.folder, *subject.derivatives()]
    found = [p for f in folders for p in sorted(f.rglob("*_msk.*")) if is_image_name(p)]
    if len(found) > 1:
        _refuse_two(subject, "lesion mask", found[0], found[1])
    return {"lesion": found[0]} if found else {}


def _refuse_two(subject: Subject, role: str, first: Path | None, second: Path) -> None:
    if first is not None:
        raise AmbiguousInput(
            subject.name, expected=f"one {role}", found=f"{first.name} and {second.name}", do="take one away"
        )
