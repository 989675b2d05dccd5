"""The folders of subjects and sessions in a data set of BIDS or ISLES'22: ``[rawdata/]sub-X[/ses-Y]``."""

from dataclasses import dataclass
from pathlib import Path

from adumbra.cases.image_file import is_image_name
from adumbra.core.errors import AmbiguousInput, MissingInput


@dataclass(frozen=True)
class Subject:
    """One examination of one subject.

    Attributes:
        folder: The folder that holds its images, directly or in ``dwi``, ``anat`` ...
        dataset: The folder that holds ``sub-X``, or that holds ``rawdata`` where there is one.
        subject: ``"sub-X"``.
        session: ``"ses-Y"``, or empty.
    """

    folder: Path
    dataset: Path
    subject: str
    session: str

    @property
    def name(self) -> str:
        """``"sub-X_ses-Y"``, or ``"sub-X"``."""
        return "_".join(part for part in (self.subject, self.session) if part)

    def derivatives(self) -> list[Path]:
        """Folders of this examination under ``derivatives`` and under each pipeline there, in order."""
        root = self.dataset / "derivatives"
        pipelines = sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
        homes = [root, *(p for p in pipelines if not p.name.startswith("sub-"))]
        return [folder for home in homes if (folder := home / self.subject / self.session).is_dir()]


def is_subject(path: Path) -> bool:
    """Whether a folder is ``sub-X`` or ``sub-X/ses-Y``."""
    path = path.absolute()
    return path.is_dir() and (_is_sub(path) or (path.name.startswith("ses-") and _is_sub(path.parent)))


def subject_at(path: Path) -> Subject:
    """The examination that a folder ``sub-X`` or ``sub-X/ses-Y`` holds.

    Raises:
        AmbiguousInput: The subject has several sessions, or images beside its sessions.
        MissingInput: No image is in it.
    """
    exams = examinations(path)
    if not exams:
        raise MissingInput(
            path.name,
            expected="images (.nii, .nii.gz, .mha, .mhd) in the folder of the subject",
            found="none",
            do="check the path",
        )
    if len(exams) > 1:
        raise AmbiguousInput(
            path.name,
            expected="one examination",
            found=f"{len(exams)}: {', '.join(exam.name for exam in exams)}",
            do=f"open one session: {path.name}/{exams[0].session or exams[1].session}",
        )
    return exams[0]


def examinations(path: Path) -> tuple[Subject, ...]:
    """All examinations that a folder ``sub-X`` or ``sub-X/ses-Y`` holds."""
    path = path.absolute()
    home = path if _is_sub(path) else path.parent
    dataset = home.parent.parent if home.parent.name == "rawdata" else home.parent
    sessions = [p for p in sorted(home.glob("ses-*")) if p.is_dir()] if path == home else [path]
    folders = [*([path] if path == home and _own_images(path) else []), *sessions]
    exams = (Subject(f, dataset, home.name, f.name if f != home else "") for f in folders)
    return tuple(exam for exam in exams if images_of(exam))


def subjects_in(root: Path) -> tuple[Subject, ...]:
    """All examinations of a data set, by name."""
    home = root / "rawdata" if (root / "rawdata").is_dir() else root
    return tuple(exam for sub in sorted(home.glob("sub-*")) if sub.is_dir() for exam in examinations(sub))


def images_of(subject: Subject) -> list[Path]:
    """The images of an examination: in its folder and one level below."""
    folders = [subject.folder, *(p for p in sorted(subject.folder.iterdir()) if _is_datatype(p))]
    return [image for folder in folders for image in sorted(folder.iterdir()) if is_image_name(image)]


def _own_images(home: Path) -> bool:
    return bool(images_of(Subject(home, home.parent, home.name, "")))


def _is_datatype(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(("ses-", "."))


def _is_sub(path: Path) -> bool:
    return path.name.startswith("sub-") and len(path.name) > 4
