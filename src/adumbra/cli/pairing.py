"""Which prediction belongs to which truth.

Rules, in order:

1. In a folder, the files named ``..._label-<target>..._mask`` are taken; where there are none, those named ``..._msk``
   (ISLES'22); where there are none either, every image in it. In a folder of truths a mask with its maps of
   uncertainty beside it is a prediction, and is passed over.
2. A file's case is its ``sub-`` and ``ses-`` in the file's name; a name without ``sub-`` is a case by itself, less the
   words that say what it is (``_mask``, ``_msk``, ``_pred``, ``_seg``, ``_label-<target>``).
3. Same case, one pair. One file on each side is a pair whatever the names. A prediction without session belongs to its
   subject's truth where that subject has one only, and the other way round.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adumbra.core.errors import AmbiguousInput, MissingInput

ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd")
SUBJECT = re.compile(r"(sub-[A-Za-z0-9]+)(?:.*?_(ses-[A-Za-z0-9]+))?")


@dataclass(frozen=True)
class Pairing:
    """Predictions and truths, by case.

    Attributes:
        pairs: Case to (prediction, truth), sorted by case.
        without_truth: Predicted cases that nobody outlined.
        without_prediction: Outlined cases that were not predicted.
    """

    pairs: Mapping[str, tuple[Path, Path]]
    without_truth: tuple[str, ...] = ()
    without_prediction: tuple[str, ...] = ()


def paired(predictions: Mapping[str, Path], truths: Mapping[str, Path]) -> Pairing:
    """Rule 3 over masks by case."""
    if len(predictions) == len(truths) == 1:
        ((case, prediction),), (truth,) = predictions.items(), truths.values()
        return Pairing({case: (prediction, truth)})
    match = {case: _counterpart(case, predictions, truths) for case in sorted(predictions)}
    pairs = {case: (predictions[case], truths[other]) for case, other in match.items() if other is not None}
    left = sorted(set(truths) - set(match.values()))
    return Pairing(pairs, tuple(case for case, other in match.items() if other is None), tuple(left))


def _counterpart(case: str, predictions: Mapping[str, Path], truths: Mapping[str, Path]) -> str | None:
    if case in truths:
        return case
    mine = [name for name in predictions if _subject(name) == _subject(case)]
    theirs = [name for name in truths if _subject(name) == _subject(case)]
    unsaid = case == _subject(case) or theirs == [_subject(case)]
    return theirs[0] if unsaid and len(mine) == len(theirs) == 1 else None


def masks_in(place: Path, *, target: str, predicted: bool = True) -> dict[str, Path]:
    """The target's masks in a folder (or the one file), by case: rules 1 and 2.

    Args:
        place: A folder, searched to its depths, or a file.
        target: What is outlined.
        predicted: Whether predictions are meant; otherwise they are passed over.

    Raises:
        MissingInput: The place does not exist or holds no image.
        AmbiguousInput: Two masks claim the same case.
    """
    if not place.exists():
        raise _nothing(place, found="nothing there")
    images = [place] if place.is_file() else sorted(path for path in place.rglob("*") if _is_image(path))
    files = [path for path in _of_target(images, target) if predicted or place.is_file() or not _is_predicted(path)]
    if not files:
        raise _nothing(place, found="no image")
    found: dict[str, Path] = {}
    for path in files:
        case = case_of(path, target=target)
        if case in found:
            raise AmbiguousInput(
                path.name,
                expected=f"one {target} mask for {case}",
                found=f"{found[case].name} and {path.name}",
                do="leave one of them, or name the file",
            )
        found[case] = path
    return found


def _nothing(place: Path, *, found: str) -> MissingInput:
    return MissingInput(place.name, expected="a mask, or a folder of masks", found=found, do="check --pred and --truth")


def _is_image(path: Path) -> bool:
    return path.is_file() and path.name.endswith(ENDINGS) and not path.name.startswith(".")


def _of_target(files: list[Path], target: str) -> list[Path]:
    labelled = re.compile(rf"(?:^|_)label-{target}(?:_[a-z]+-[A-Za-z0-9]+)*_mask\.")
    named = [path for path in files if labelled.search(path.name)]
    return named or [path for path in files if "_msk." in path.name] or files


def _is_predicted(mask: Path) -> bool:
    stem, named_mask, _ = mask.name.rpartition("_mask.")
    maps = re.compile(re.escape(stem) + r"_desc-[a-z]+_uncertainty\.")
    return bool(named_mask) and any(maps.match(beside.name) for beside in mask.parent.iterdir())


def case_of(path: Path, *, target: str) -> str:
    """The case that a mask's file name speaks of: rule 2."""
    entities = SUBJECT.search(path.name)
    if entities:
        return "_".join(part for part in entities.groups() if part)
    stem = re.sub(r"(\.nii(\.gz)?|\.mh[ad])$", "", path.name)
    return re.sub(rf"(_label-{target}|_mask|_msk|_pred|_seg)+$", "", stem)


def _subject(case: str) -> str:
    return case.split("_ses-")[0]
