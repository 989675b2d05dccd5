"""Pairs predictions with ground-truth masks.

The rules, in order:

1. In a folder, the files named ``..._label-<target>..._mask`` are used. Where there are none, those named
   ``..._desc-<target>_mask`` (ds004889) are used, then those named ``..._msk`` (ISLES'22), and then every image. In a
   folder of ground truth, a mask with uncertainty maps beside it is a prediction and is skipped.
2. The case of a file is the ``sub-`` and ``ses-`` in its name. A name without ``sub-`` is a case of its own; the words
   that say what it is (``_mask``, ``_msk``, ``_pred``, ``_seg``, ``_label-<target>``) are removed.
3. Files of the same case are a pair. One file on each side is a pair whatever the names. A prediction without a session
   is paired with the mask of its subject where there is only one, and the other way round.
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
    """Predictions and ground-truth masks, by case.

    Attributes:
        pairs: Case to (prediction, ground truth), sorted by case.
        without_truth: Predicted cases without ground truth.
        without_prediction: Cases with ground truth that were not predicted.
    """

    pairs: Mapping[str, tuple[Path, Path]]
    without_truth: tuple[str, ...] = ()
    without_prediction: tuple[str, ...] = ()


def pair_masks(predictions: Mapping[str, Path], truths: Mapping[str, Path]) -> Pairing:
    """Applies rule 3 to masks by case."""
    if len(predictions) == len(truths) == 1:
        ((case, prediction),), (truth,) = predictions.items(), truths.values()
        return Pairing({case: (prediction, truth)})
    match = {case: _counterpart(case, predictions, truths) for case in sorted(predictions)}
    pairs = {case: (predictions[case], truths[other]) for case, other in match.items() if other is not None}
    without_truth = tuple(case for case, other in match.items() if other is None)
    return Pairing(pairs, without_truth, tuple(sorted(set(truths) - set(match.values()))))


def _counterpart(case: str, predictions: Mapping[str, Path], truths: Mapping[str, Path]) -> str | None:
    if case in truths:
        return case
    predicted = [name for name in predictions if _subject(name) == _subject(case)]
    true = [name for name in truths if _subject(name) == _subject(case)]
    without_session = case == _subject(case) or true == [_subject(case)]
    return true[0] if without_session and len(predicted) == len(true) == 1 else None


def find_masks(place: Path, *, target: str, predicted: bool = True) -> dict[str, Path]:
    """The masks of a target in a folder or a file, by case, after rules 1 and 2.

    Args:
        place: A folder, which is searched recursively, or a file.
        target: The target of the masks.
        predicted: Whether predictions are wanted; otherwise they are skipped.

    Raises:
        MissingInput: The place does not exist or holds no image.
        AmbiguousInput: Two masks belong to the same case.
    """
    if not place.exists():
        raise _missing(place, "nothing there")
    images = [place] if place.is_file() else sorted(path for path in place.rglob("*") if _is_image(path))
    files = [path for path in _of_target(images, target) if predicted or place.is_file() or not _is_predicted(path)]
    if not files:
        raise _missing(place, "no image")
    masks: dict[str, Path] = {}
    for path in files:
        case = case_name(path, target=target)
        if case in masks:
            raise AmbiguousInput(
                path.name,
                expected=f"one {target} mask for {case}",
                found=f"{masks[case].name} and {path.name}",
                do="remove one of them, or give the file itself",
            )
        masks[case] = path
    return masks


def _missing(place: Path, problem: str) -> MissingInput:
    return MissingInput(
        place.name, expected="a mask, or a folder of masks", found=problem, do="check --pred and --truth"
    )


def _is_image(path: Path) -> bool:
    return path.is_file() and path.name.endswith(ENDINGS) and not path.name.startswith(".")


def _of_target(files: list[Path], target: str) -> list[Path]:
    labelled = re.compile(rf"(?:^|_)label-{target}(?:_[a-z]+-[A-Za-z0-9]+)*_mask\.")
    named = [path for path in files if labelled.search(path.name)]
    described = [path for path in files if f"_desc-{target}_mask." in path.name]
    return named or described or [path for path in files if "_msk." in path.name] or files


def _is_predicted(mask: Path) -> bool:
    stem, ending, _ = mask.name.rpartition("_mask.")
    maps = re.compile(re.escape(stem) + r"_desc-[a-z]+_uncertainty\.")
    return bool(ending) and any(maps.match(beside.name) for beside in mask.parent.iterdir())


def case_name(path: Path, *, target: str) -> str:
    """The case of a mask from its file name, after rule 2."""
    entities = SUBJECT.search(path.name)
    if entities:
        return "_".join(part for part in entities.groups() if part)
    stem = re.sub(r"(\.nii(\.gz)?|\.mh[ad])$", "", path.name)
    return re.sub(rf"(_label-{target}|_mask|_msk|_pred|_seg)+$", "", stem)


def _subject(case: str) -> str:
    return case.split("_ses-")[0]
