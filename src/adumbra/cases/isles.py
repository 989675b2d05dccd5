"""ISLES'22 (Hernandez Petzsche et al., Sci Data 9:762, 2022): similar to BIDS, with lower-case suffixes.

Two layouts are in use, ``rawdata/sub-X/ses-Y/sub-X_ses-Y_{dwi,adc,flair}.nii.gz`` and
``sub-X/ses-Y/{dwi,anat}/..._{dwi,adc,FLAIR}.nii.gz``; the lesion mask is ``derivatives/sub-X/ses-Y/..._msk.nii.gz``.
"""

from pathlib import Path

from adumbra.cases.files import CaseFiles
from adumbra.cases.image_file import image_stem, is_image_name
from adumbra.cases.names import modality_in
from adumbra.cases.subjects import Subject, examinations, images_of, is_subject, subject_at
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.types import Modality


def recognises(path: Path) -> bool:
    """Whether the path is a subject of ISLES'22: ``sub-strokecase…``, or only files of that data set in one folder."""
    if not is_subject(path):
        return False
    exams = examinations(path)
    images = [(image, exam) for exam in exams for image in images_of(exam)]
    flat = all(
        image.parent == exam.folder and _suffix(image) in ("dwi", "adc", "flair", "msk") for image, exam in images
    )
    return bool(exams) and (flat or exams[0].subject.startswith("sub-strokecase"))


def files_in(path: Path) -> CaseFiles:
    """The files of one session of a subject.

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
        raise MissingInput(
            subject.name,
            expected="files whose names end in _dwi, _adc, _flair",
            found=", ".join(image.name for image in images_of(subject)[:8]),
            do="rename them, or name each: --dwi FILE ...",
        )
    return CaseFiles(subject.name, scans, _masks(subject))


def _suffix(image: Path) -> str:
    return image_stem(image).rpartition("_")[2].lower()


def _masks(subject: Subject) -> dict[str, Path]:
    folders = [subject.folder, *subject.derivatives()]
    masks = [path for folder in folders for path in sorted(folder.rglob("*_msk.*")) if is_image_name(path)]
    if len(masks) > 1:
        _refuse_two(subject, "lesion mask", masks[0], masks[1])
    return {"lesion": masks[0]} if masks else {}


def _refuse_two(subject: Subject, role: str, first: Path | None, second: Path) -> None:
    if first is not None:
        raise AmbiguousInput(
            subject.name,
            expected=f"one {role}",
            found=f"{first.name} and {second.name}",
            do="remove one of them",
        )
