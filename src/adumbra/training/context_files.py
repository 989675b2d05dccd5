"""Writes what the context inputs of cached cases are computed from, a small file beside each cache file.

The files are written after the cache, so that a cache may be used with and without context inputs. A whole case is
prepared as for a prediction: its place in MNI152 space is estimated from its images, and its upstream prior is that of
the released network of the lesion. A part of a head has the place of its head, and no lesion of its own. Its upstream
prior is that of a whole case, chosen at random, whose clot lies in the same artery of either side; where the part shows
no clot, that of a case without a clot in the arteries of the part.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from safetensors import safe_open

from adumbra.core.atlas.context_channels import segments_at
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.head_context import HeadContext
from adumbra.core.atlas.upstream import mirrored_shares
from adumbra.core.atlas.vessels import artery_numbers, opposite_segments
from adumbra.core.atomic_io import write_atomically
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import targets_of
from adumbra.networks.registry import load
from adumbra.posterior.upstream import WEIGHTS, with_upstream_prior
from adumbra.preprocessing.pipeline import align_case
from adumbra.training.cache import CacheConfig, CaseSource
from adumbra.training.context import context_path, outdated_cache, read_context

_VERSION = 1


@runtime_checkable
class PartSource(CaseSource, Protocol):
    """A case that is a part of a head."""

    @property
    def head(self) -> str:
        """Name of the head."""
        ...

    def place_head(self) -> Deformation:
        """The place of the head in MNI152 space, estimated from an image of the whole head."""
        ...


@dataclass(frozen=True, eq=False)
class _Donor:
    """A whole case whose upstream prior parts of heads may take.

    Attributes:
        artery: Label of the artery of its clot, see ``vessels.artery_numbers``; 0 where it has none.
        shares: Its upstream prior, (segments, 2).
    """

    artery: int
    shares: np.ndarray

    @property
    def mirrored(self) -> "_Donor":
        """The case with left and right exchanged."""
        return _Donor(int(opposite_segments()[self.artery]), mirrored_shares(self.shares))


def write_contexts(
    cases: Sequence[CaseSource],
    paths: Sequence[Path],
    config: CacheConfig,
    *,
    upstream: bool = True,
    progress: Progress = quiet,
) -> None:
    """Writes the context of each cached case that has none; can be stopped and repeated.

    Args:
        cases: The cases; those that are parts of a head are ``PartSource``.
        paths: Their cache files.
        config: The options of the cache.
        upstream: Whether the upstream prior is needed; without it no lesion is predicted, and files that hold one stay.
        progress: Reports the cases.

    Raises:
        InputRejected: A cache file does not hold the affine of its volumes.
    """
    pairs = list(zip(cases, paths, strict=True))
    whole = [(case, path) for case, path in pairs if not isinstance(case, PartSource)]
    parts = [(case, path) for case, path in pairs if isinstance(case, PartSource)]
    own: dict[str, object] = {"version": _VERSION} | ({"weights": load(WEIGHTS).card.sha256} if upstream else {})
    missing = [(case, path) for case, path in whole if not _is_current(path, own)]
    for case, path in progress.track(missing, what="Placing heads in the atlas", total=len(missing)):
        _write(path, own, _whole_context(case, config, upstream=upstream))
    if not parts:
        return
    donors = [donor for _, path in whole if (donor := _donor(path)) is not None] if upstream else []
    donors += [donor.mirrored for donor in donors]
    digest = hashlib.sha256(b"".join(d.shares.tobytes() + bytes([d.artery]) for d in donors)).hexdigest()
    borrowed = own | ({"donors": digest[:16]} if upstream else {})
    places: dict[str, Deformation] = {}
    stale = [(case, path) for case, path in parts if not _is_current(path, borrowed)]
    for part, path in progress.track(stale, what="Placing parts of heads in the atlas", total=len(stale)):
        if part.head not in places:
            places[part.head] = part.place_head()
        rng = np.random.default_rng([_VERSION, *part.name.encode()])
        _write(path, borrowed, _part_context(path, places[part.head], donors, rng))


def _whole_context(case: CaseSource, config: CacheConfig, *, upstream: bool) -> HeadContext:
    """The context of a whole case, from the functions of a prediction."""
    aligned = align_case(
        case.open(),
        target=targets_of(config.targets)[0],
        modalities=config.modalities,
        registration=config.registration,
        in_atlas=True,
    )
    context = (with_upstream_prior(aligned) if upstream else aligned).context
    assert context is not None  # align_case gives one
    return context


def _part_context(path: Path, place: Deformation, donors: Sequence[_Donor], rng: np.random.Generator) -> HeadContext:
    """The place of a head, and the upstream prior of a donor that fits what the part shows; None where none fits."""
    artery, _, around = _arteries(path, place)
    fitting = [d for d in donors if d.artery == artery] if artery else [d for d in donors if d.artery not in around]
    return HeadContext(place, fitting[rng.integers(len(fitting))].shares if fitting else None)


def _donor(path: Path) -> _Donor | None:
    """A whole case as a donor; None where it has several clots, one outside all arteries, or no upstream prior."""
    context = read_context(path)
    if context is None or context.upstream is None:
        return None
    artery, clots, _ = _arteries(path, context.deformation)
    return _Donor(artery, context.upstream) if clots == 0 or (clots == 1 and artery) else None


def _arteries(path: Path, place: Deformation) -> tuple[int, int, frozenset[int]]:
    """The artery with most clot in a cached case (0 is none), the number of clots, and all arteries in its brain."""
    with safe_open(path, framework="np") as file:
        sites, around, count = file.get_tensor("sites"), file.get_tensor("brain_sites"), len(file.get_tensor("ends"))
        if "affine" not in file.keys():  # noqa: SIM118 (no mapping)
            raise outdated_cache(path)
        affine = file.get_tensor("affine")
    numbers = artery_numbers()
    in_clot, in_brain = (
        numbers[segments_at(place(affine[:3, :3] @ voxels.T + affine[:3, 3:]))] for voxels in (sites, around)
    )
    counts = np.bincount(in_clot[in_clot > 0], minlength=1)
    return int(counts.argmax()), count, frozenset(np.unique(in_brain[in_brain > 0]).tolist())


def _is_current(path: Path, identity: Mapping[str, object]) -> bool:
    try:
        stored = json.loads(context_path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    known = stored.get("identity") if isinstance(stored, dict) else None
    return isinstance(known, dict) and identity.items() <= known.items()


def _write(path: Path, identity: Mapping[str, object], context: HeadContext) -> None:
    content = {
        "identity": identity,
        "affine": context.deformation.affine.tolist(),
        "bending_mm": context.deformation.bending_mm.tolist(),
        "upstream": None if context.upstream is None else context.upstream.tolist(),
    }
    write_atomically(context_path(path), json.dumps(content).encode())
