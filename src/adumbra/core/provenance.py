"""The manifest of a run: versions, seed, hashes, conversions and timings, and nothing that identifies a patient."""

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from adumbra.core.case import Case
from adumbra.core.results import RunRecord

PACKAGES = ("adumbra", "numpy", "scipy", "nibabel", "SimpleITK", "scikit-image", "torch", "nilearn")


class StageTimer:
    """Measures the time of each stage.

    Attributes:
        seconds: Seconds by stage, in the order in which the stages were first entered.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Adds the time spent inside the block to a stage."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.monotonic() - start, 3)


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that a result depends on."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def run_record(
    case: Case,
    *,
    command: str,
    seed: int,
    weights: Mapping[str, str],
    options: Mapping[str, object],
    timer: StageTimer,
    references: tuple[str, ...] = (),
) -> RunRecord:
    """The manifest of what was done to a case so far.

    Args:
        case: The case, whose provenance and hashes are recorded.
        command: See ``RunRecord``, as for ``seed``, ``weights``, ``options`` and ``references``.
        seed: Seed of the run.
        weights: Name and hash of the weights.
        options: Options of the run.
        timer: Times of the stages.
        references: Keys of the papers that were used.
    """
    return RunRecord(
        command=command,
        versions=versions(),
        seed=seed,
        weights=weights,
        options=options,
        conversions=tuple(asdict(c) | {"values": dict(c.values)} for c in case.provenance),
        timings_s=dict(timer.seconds),
        inputs={name: scan.sha256 for name, scan in case.scans.items() if scan.sha256},
        references=references,
    )
