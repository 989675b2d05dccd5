"""A folder of images whose names state what they are: ``patient7_DWI_b1000.nii.gz``, ``patient7-swan-phase.mha``."""

import re
from collections.abc import Mapping
from pathlib import Path

from adumbra.cases.files import CaseFiles
from adumbra.cases.image_file import image_stem, is_image_name
from adumbra.cases.names import MASKS, UNDERSTOOD, mask_in, modality_in, option_for, pseudonym, words_of
from adumbra.cases.scan import has_two_values
from adumbra.cases.subjects import examinations, is_subject, subject_at
from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.types import MODALITIES, Modality

_CHANNEL = re.compile(r"_(\d{4})$")


def recognises(path: Path) -> bool:
    """Whether the path is a folder that holds an image, or a subject with one session that does."""
    home = _home(path)
    return home.is_dir() and any(is_image_name(child) for child in home.iterdir())


def files_in(folder: Path, *, columns: Mapping[str, str] | None = None) -> CaseFiles:
    """The files of one examination, recognised by their names.

    Args:
        folder: The folder; the case is named after it.
        columns: For other naming schemes, modality or mask to a word of the file name, such as
            ``{"dwi": "0000", "adc": "0001"}`` for the channels of nnU-Net.

    Raises:
        AmbiguousInput: Two files for one modality or mask, numbered channels, or a mask of an unknown structure.
        MissingInput: No name is understood, or a word of ``columns`` is in no name.
    """
    images = sorted(path for path in _home(folder).iterdir() if is_image_name(path))
    name = subject_at(folder).name if is_subject(folder) else folder.absolute().name
    return classify(pseudonym(name), images, columns=columns)


def _home(path: Path) -> Path:
    exams = examinations(path) if is_subject(path) else ()
    return exams[0].folder if len(exams) == 1 else path


def classify(name: str, images: list[Path], *, columns: Mapping[str, str] | None = None) -> CaseFiles:
    """Assigns images to modalities and masks by their names.

    Args:
        name: Name of the case.
        images: The images of one examination.
        columns: As in ``files_in``.

    Raises:
        AmbiguousInput, MissingInput: As in ``files_in``.
    """
    mapped = _mapped(name, images, columns or {})
    rest = [path for path in images if path not in mapped.values()]
    _refuse_channels(name, rest)
    roles = [(role, path) for path in rest if (role := _role(path)) is not None]
    settled, notes = _settled(name, roles, taken=mapped)
    files = settled | mapped
    scans: dict[Modality, Path] = {modality: files[modality] for modality in MODALITIES if modality in files}
    if not scans:
        raise MissingInput(
            name,
            expected=f"a file whose name states its modality ({UNDERSTOOD})",
            found=", ".join(path.name for path in images[:12]) or "no image",
            do="rename the files, or name each: --dwi FILE --adc FILE ...",
        )
    return CaseFiles(name, scans, {mask: files[mask] for mask in MASKS if mask in files}, notes=notes)


def _role(path: Path) -> str | None:
    stem = image_stem(path)
    return mask_in(stem) or modality_in(stem)


def _settled(
    name: str, roles: list[tuple[str, Path]], *, taken: Mapping[str, Path]
) -> tuple[dict[str, Path], tuple[Conversion, ...]]:
    """One file for each role; a file that is named a DWI and holds two values is the lesion mask drawn on it."""
    files: dict[str, Path] = {}
    notes: list[Conversion] = []
    for role, path in roles:
        if role == "dwi" and has_two_values(path):
            role = "lesion"
            what = f"{path.name} is named as an image but holds two values: it was read as the lesion mask"
            notes.append(Conversion("cases.folder", "lesion", what, warning=True))
        if role == "?":
            raise AmbiguousInput(
                path.name,
                expected=f"a mask whose name states what it is a mask of ({', '.join(MASKS)})",
                found="no such word",
                do="rename the file",
            )
        if role in files:
            _refuse_two(name, role, files[role], path)
        if role not in taken:
            files[role] = path
    return files, tuple(notes)


def _refuse_two(name: str, role: str, first: Path, second: Path) -> None:
    raise AmbiguousInput(
        name,
        expected=f"one {role} file",
        found=f"{first.name} and {second.name}",
        do=f"remove one of them, or name the right one: {option_for(role)}",
    )


def _mapped(name: str, images: list[Path], columns: Mapping[str, str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for role, word in columns.items():
        wanted = words_of(word)
        fitting = [path for path in images if wanted and set(wanted) <= set(words_of(image_stem(path)))]
        if role not in (*MODALITIES, *MASKS):
            known = ", ".join((*MODALITIES, *MASKS))
            raise AmbiguousInput(name, expected=f"one of {known}", found=repr(role), do="use one of these names")
        if not fitting:
            raise MissingInput(
                name,
                expected=f"a file with {word!r} in its name, for {role}",
                found=", ".join(path.name for path in images[:12]) or "no image",
                do="check the mapping of words to modalities",
            )
        if len(fitting) > 1:
            _refuse_two(name, role, *fitting[:2])
        files[role] = fitting[0]
    return files


def _refuse_channels(name: str, images: list[Path]) -> None:
    stems = [image_stem(path) for path in images]
    numbered = [stem for stem in stems if _CHANNEL.search(stem)]
    is_series = len({_CHANNEL.sub("", stem) for stem in numbered}) < len(numbered)
    unnamed = [stem for stem in numbered if modality_in(stem) is None and mask_in(stem) is None]
    if is_series or unnamed:
        raise AmbiguousInput(
            name,
            expected="files whose names state their modality",
            found=f"numbered channels, as nnU-Net writes them: {', '.join(numbered[:6])}",
            do="map the channels: columns={'dwi': '0000', 'adc': '0001'}, or name each file (--dwi FILE ...)",
        )
