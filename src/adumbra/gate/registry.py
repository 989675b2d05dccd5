"""Validates paths: the one place that knows which check belongs to which kind of file."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from adumbra.cases.image_file import image_stem, is_image_name
from adumbra.cases.names import mask_in
from adumbra.core.errors import AdumbraError, AmbiguousInput, MissingInput
from adumbra.core.types import Modality
from adumbra.gate import configs, files, images, splits
from adumbra.gate.verdict import Kind, Refusal, Verdict, refusal_of

KINDS: tuple[Kind, ...] = get_args(Kind)
CHECKS: Mapping[Kind, Callable[[Path], Verdict | tuple[Verdict, ...]]] = {
    "image": images.image_verdict,
    "mask": images.mask_verdict,
    "case": images.case_verdicts,
    "manifest": files.manifest_verdict,
    "config": configs.config_verdict,
    "weights": files.weights_verdict,
    "archive": files.archive_verdict,
    "split": splits.split_verdict,
}
"""The check of each kind of path; a pair is checked by ``images.pair_verdict``."""
_SUFFIXES: Mapping[str, Kind] = {
    ".csv": "manifest", ".tsv": "manifest", ".json": "config", ".toml": "config", ".safetensors": "weights",
    ".pt": "weights", ".pth": "weights", ".ckpt": "weights", ".zip": "archive", ".tar": "archive", ".tgz": "archive",
    ".tar.gz": "archive", ".tar.bz2": "archive", ".tar.xz": "archive",
}  # fmt: skip


def validate(
    paths: Sequence[Path], *, kind: Kind | None = None, modality: Modality | None = None
) -> tuple[Verdict, ...]:
    """The verdict on each path, without building a network or writing anything.

    Args:
        paths: Files or folders; for ``"pair"`` two files.
        kind: What they are; None recognises each by its name.
        modality: The modality of images, where their names do not state it.

    Returns:
        One verdict for each path, in their order; one for each case of a data set, and one for a pair. An error that no
        check foresees is a refusal too, with the error's name.

    Raises:
        AmbiguousInput: A pair of other than two paths.
    """
    if kind == "pair":
        if len(paths) != 2:
            raise AmbiguousInput("pair", expected="two files", found=f"{len(paths)} paths", do="name both files")
        return (_guarded(paths[0], "pair", lambda _: images.pair_verdict(*paths))[0],)
    return tuple(verdict for path in paths for verdict in _verdicts(path, kind, modality))


def _verdicts(path: Path, kind: Kind | None, modality: Modality | None) -> tuple[Verdict, ...]:
    try:
        used = kind or kind_of(path)
    except AdumbraError as error:
        return (Verdict(str(path), "case", (refusal_of(error),)),)
    if used == "image":
        return _guarded(path, used, lambda image: images.image_verdict(image, modality))
    return _guarded(path, used, CHECKS[used])


def _guarded(path: Path, kind: Kind, check: Callable[[Path], Verdict | tuple[Verdict, ...]]) -> tuple[Verdict, ...]:
    """The verdict of a check; an error that it did not foresee is a refusal, since no reader could use the file."""
    try:
        verdict = check(path)
    except AdumbraError as error:
        return (Verdict(str(path), kind, (refusal_of(error),)),)
    except Exception as error:
        reason = Refusal("Defect", path.name, f"{type(error).__name__}: {error}", f"a readable {kind}",
                         "report this file as a defect of adumbra: 1 check failed")  # fmt: skip
        return (Verdict(str(path), kind, (reason,)),)
    return verdict if isinstance(verdict, tuple) else (verdict,)


def kind_of(path: Path) -> Kind:
    """What a path is by its name: an image, a mask, a case or data set (a folder), a manifest, weights ...

    Raises:
        MissingInput: The name is that of no kind.
    """
    if is_image_name(path):
        return "mask" if mask_in(image_stem(path)) is not None else "image"
    lower = path.name.lower()
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if lower.endswith(suffix):
            return "split" if "split" in lower and _SUFFIXES[suffix] in ("config", "manifest") else _SUFFIXES[suffix]
    if os.path.isdir(path):  # noqa: PTH112 (a path that must not be read raises nothing here)
        return "case"
    raise MissingInput(
        path.name,
        expected="a name that shows its kind (.nii.gz, .mha, .csv, .json, .safetensors, .zip ...)",
        found=f"a name of {len(path.name)} characters that shows none",
        do=f"state it: --as {', '.join(KINDS)}",
    )
