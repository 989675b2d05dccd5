"""The manifest of a run: versions, seed, hashes, conversions, timings; and nothing that names a patient."""

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
    """Seconds by station, in the order in which they were first entered."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def at(self, station: str) -> Iterator[None]:
        """Adds the time spent inside to a station."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[station] = round(self.seconds.get(station, 0.0) + time.monotonic() - begun, 3)


def versions() -> dict[str, str]:
    """Python's version and those of the packages that a result depends on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def run_record(
    case: Case,
    *,
    command: str,
    seed: int,
    weights: Mapping[str, str],
    options: Mapping[str, object],
    clock: StageTimer,
    references: tuple[str, ...] = (),
) -> RunRecord:
    """The manifest of what was done to a case so far; the arguments are the fields of ``RunRecord``."""
    return RunRecord(
        command=command,
        versions=versions(),
        seed=seed,
        weights=weights,
        options=options,
        conversions=tuple(asdict(c) | {"values": dict(c.values)} for c in case.provenance),
        timings_s=dict(clock.seconds),
        inputs={name: scan.sha256 for name, scan in case.scans.items() if scan.sha256},
        references=references,
    )
