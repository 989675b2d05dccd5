"""Context inputs of cached cases: what they are computed from, and their channels in a patch and in a whole volume.

The values are those of ``inference.model_input``, from the same function. ``training.context_files`` writes the file
beside each cache file that they are computed from.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adumbra.core.atlas.context_channels import context_channels
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.head_context import ContextInput, HeadContext
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.types import Affine

ABSENT = 0.25
"""Share of the patches whose upstream prior is absent, as for a case without DWI."""


def context_path(path: Path) -> Path:
    """The file beside a cache file."""
    return path.with_suffix(".context.json")


def read_context(path: Path) -> HeadContext | None:
    """What the context inputs of a cached case are computed from; None where it was not estimated.

    Args:
        path: The cache file.
    """
    beside = context_path(path)
    if not beside.is_file():
        return None
    content = json.loads(beside.read_text("utf-8"))
    upstream = content["upstream"]
    deformation = Deformation(np.array(content["affine"]), np.array(content["bending_mm"]))
    return HeadContext(deformation, None if upstream is None else np.array(upstream, dtype=np.float32))


def context_volume(
    path: Path,
    context: HeadContext | None,
    affine: Affine | None,
    inputs: Sequence[ContextInput],
    shape: tuple[int, int, int],
) -> np.ndarray:
    """The context inputs of a volume, float32 (K, X, Y, Z).

    Args:
        path: The cache file, for errors.
        context: What they are computed from.
        affine: (4, 4), index of a voxel of the volume to subject mm.
        inputs: Names of the inputs.
        shape: Shape of the volume.

    Raises:
        InputRejected: The cache file is of an earlier version.
        MissingInput: Nothing is known of the head.
    """
    if affine is None:
        raise outdated_cache(path)
    if context is None:
        raise MissingInput(
            context_path(path).name,
            expected="a file with the place of the head",
            found="no such file",
            do="call adumbra.training.context_files.write_contexts after the cases were cached",
        )
    return context_channels(context, inputs, affine, shape)


def outdated_cache(path: Path) -> InputRejected:
    """The error of a cache file of an earlier version, which does not hold where its volumes lie."""
    return InputRejected(
        path.name,
        expected="the affine of its volumes, for context inputs",
        found="a cache file of an earlier version",
        do="delete it, and start the training again",
    )
