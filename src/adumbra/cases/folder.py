"""A folder of images whose names tell what they are: ``patient7_DWI_b1000.nii.gz``, ``patient7-swan-phase.mha``."""

import re
from collections.abc import Mapping
from pathlib import Path

from adumbra.cases.files import MASKS, Files
from adumbra.cases.names import UNDERSTOOD, mask_in, modality_in, pseudonym, words_of
from adumbra.cases.probe import image_stem, is_image_name
from adumbra.cases.scan import has_two_values
from adumbra.cases.subjects import examinations, is_subject, subject_at
from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.types import MODALITIES, Modality

_CHANNEL = re.compile(r"_(\d{4})$")


def recognises(path: Path) -> bool:
    """Whether it is a folder that holds an image itself, or a subject's whose session does."""
    home = _home(path)
    return home.is_dir() and any(is_image_name(child) for child in home.iterdir())


def files_in(folder: Path, *, columns: Mapping[str, str] | None = None) -> Files:
    """The files of one examination, recognised by their names.

    Args:
        folder: Its name becomes the case's.
        columns: Where names follow a habit of one's own: modality or mask to a word of the file's name, such as
            ``{"dwi": "0000", "adc": "0001"}`` for nnU-Net's channels.

    Raises:
        AmbiguousInput: Two files for one modality or mask, channels by number, or a mask of it is open what.
        MissingInput: No name is understood, or a word of ``columns`` is in no name.
    """
    images = sorted(path for path in _home(folder).iterdir() if is_image_name(path))
    name = subject_at(folder).name if is_subject(folder) else folder.absolute().name
    return classified(pseudonym(name), images, columns=columns)


def _home(path: Path) -> Path:
    exams = examinations(path) if is_subject(path) else ()
    return exams[0].folder if len(exams) == 1 else path


def classified(name: str, images: list[Path], *, columns: Mapping[str, str] | None = None) -> Files:
    """``files_in`` for a list of images."""
    mapped = _mapped(name, images, columns or {})
    rest = [path for path in images if path not in mapped.values()]
    _refuse_channels(name, rest)
    roles = [(role, path) for path in rest if (role := _role(path)) is not None]
    found, notes = _settled(name, roles, taken=mapped)
    found |= mapped
    scans: dict[Modality, Path] = {modality: found[modality] for modality in MODALITIES if modality in found}
    if not scans:
        raise MissingInput(
            name,
            expected=f"a file whose name tells its modality ({UNDERSTOOD})",
            found=", ".join(path.name for path in images[:12]) or "no image",
            do="rename the files, or name each: --dwi FILE --adc FILE ...",
        )
    return Files(name, scans, {mask: found[mask] for mask in MASKS if mask in found}, notes=notes)


def _role(path: Path) -> str | None:
    stem = image_stem(path)
    return mask_in(stem) or modality_in(stem)


def _settled(
    name: str, roles: list[tuple[str, Path]], *, taken: Mapping[str, Path]
) -> tuple[dict[str, Path], tuple[Conversion, ...]]:
    """One file for each role; what is named a DWI and holds 0 and 1 is an outline drawn on it."""
    found: dict[str, Path] = {}
    notes: list[Conversion] = []
    for role, path in roles:
        if role == "dwi" and has_two_values(path):
            role = "lesion"
            what = f"{path.name} is named as an image but holds two values: it was read as the lesion mask"
            notes.append(Conversion("cases.folder", "lesion", what, warning=True))
        if role == "?":
            raise AmbiguousInput(
                path.name, expected="a mask whose name says of what", found="no such word", do="rename it"
            )
        if role in found:
            _refuse_two(name, role, found[role], path)
        if role not in taken:
            found[role] = path
    return found, tuple(notes)


def _refuse_two(name: str, role: str, first: Path, second: Path) -> None:
    raise AmbiguousInput(
        name,
        expected=f"one {role} file",
        found=f"{first.name} and {second.name}",
        do=f"take one away, or name the one that is meant: --{role} FILE",
    )


def _mapped(name: str, images: list[Path], columns: Mapping[str, str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for role, word in columns.items():
        wanted = words_of(word)
        fitting = [path for path in images if wanted and set(wanted) <= set(words_of(image_stem(path)))]
        if role not in (*MODALITIES, *MASKS):
            known = ", ".join((*MODALITIES, *MASKS))
            raise AmbiguousInput(name, expected=f"one of {known}", found=repr(role), do="use one of these names")
        if not fitting:
            raise MissingInput(
                name, expected=f"a file with {word!r} in its name, for {role}", found="none", do="check the mapping"
            )
        if len(fitting) > 1:
            _refuse_two(name, role, *fitting[:2])
        found[role] = fitting[0]
    return found


def _refuse_channels(name: str, images: list[Path]) -> None:
    stems = [image_stem(path) for path in images]
    numbered = [stem for stem in stems if _CHANNEL.search(stem)]
    series = len({_CHANNEL.sub("", stem) for stem in numbered}) < len(numbered)
    silent = [stem for stem in numbered if modality_in(stem) is None and mask_in(stem) is None]
    if series or silent:
        raise AmbiguousInput(
            name,
            expected="files whose names tell their modality",
            found=f"channels by number, as nnU-Net has them: {', '.join(numbered[:6])}",
            do="say which is which: columns={'dwi': '0000', 'adc': '0001'}, or name each file (--dwi FILE ...)",
        )
