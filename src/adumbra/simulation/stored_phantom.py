"""Phantoms that are simulated once and kept as data sets, for work that opens them several times.

A head with vessels and all sequences takes 15 to 35 processor seconds to simulate, and a second to read.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adumbra.cases.registry import open_case
from adumbra.cases.scan import read_mask
from adumbra.core.case import Case, Scan
from adumbra.core.errors import MissingInput
from adumbra.report.dataset import TRUTH
from adumbra.simulation.cohort import PhantomRef, simulate


@dataclass(frozen=True)
class StoredPhantom:
    """A phantom that is read from a folder, and simulated where the folder does not hold it.

    The file names do not tell which lesion masks and which version of the simulation made a phantom: a folder is for
    one of them.

    Attributes:
        ref: The phantom; without annotators.
        folder: Folder of the data sets, one for each phantom, some 35 MB each.
    """

    ref: PhantomRef
    folder: Path

    @property
    def name(self) -> str:
        """The name of the case."""
        return self.ref.name

    @property
    def data_set(self) -> Path:
        """Root of the data set of this phantom."""
        return self.folder / f"{self.ref.preset}-{self.ref.seed:02d}n{self.ref.number:05d}"

    def open(self) -> Case:
        """The case as its data set holds it; it is simulated where it is missing.

        Raises:
            OutputRefused: The folder cannot be written.
        """
        self.store()
        return open_case(self.data_set / self.name)

    def store(self) -> None:
        """Simulates the phantom where it is missing. An interrupted simulation leaves no data set.

        Raises:
            OutputRefused: The folder cannot be written.
        """
        if self.data_set.is_dir():
            return
        ref, partial = self.ref, self.data_set.with_name(f".{self.data_set.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        masks = ref.lesion_masks[0].parent if ref.lesion_masks else None
        simulate(partial, cases=1, seed=ref.seed, first=ref.number, preset_name=ref.preset, lesion_masks=masks)
        partial.rename(self.data_set)

    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the simulation.

        Raises:
            MissingInput: The data set is not there or not complete.
        """
        sidecars = self._truth_files("json")
        for path in sidecars:
            content: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if "SimulationParameters" in content:
                parameters: Mapping[str, Any] = content["SimulationParameters"]
                return parameters
        raise self._missing("a sidecar with the parameters of the simulation")

    def truth_mask(self, name: str, space: str) -> Scan:
        """A true mask on the grid of a modality.

        Args:
            name: Name of the ground truth, such as ``thrombusSecond``.
            space: The modality, such as ``swi``.

        Raises:
            MissingInput: The data set does not hold it.
        """
        suffix = f"_space-{space.upper()}_label-{name}_mask.nii.gz"
        for path in self._truth_files("nii.gz"):
            if path.name.endswith(suffix):
                mask, _ = read_mask(path, name)
                return mask
        raise self._missing(f"a file *{suffix}")

    def _truth_files(self, ending: str) -> list[Path]:
        return sorted((self.data_set / TRUTH / self.name).rglob(f"*.{ending}"))

    def _missing(self, expected: str) -> MissingInput:
        return MissingInput(
            self.data_set, expected=expected, found="none", do="delete the folder; the phantom is simulated again"
        )
