"""The study of refinement: is a second pass better where the first is uncertain than elsewhere, and at what cost?

Every arm refines the same first pass of the same cases. ``random`` reads as many windows as ``uncertain``, so that
their difference is what the uncertainty is worth. ``all`` reads the whole head with the second networks. ``error``
reads where the first pass is wrong, which needs the ground truth: it bounds what a choice of windows can reach.

A row is one case and one arm. Rows are appended to a file of JSON lines; a case and arm that it has are not computed
again, so that an interrupted study continues.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from adumbra.core.atomic_io import write_atomically
from adumbra.core.case import Case
from adumbra.core.errors import ImplausibleValues, MissingInput
from adumbra.core.geometry.components import dilate
from adumbra.core.options import ComputeConfig, InferenceConfig, RefinementConfig, SelectionConfig, WindowSelection
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import Mask, Target
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.networks.registry import LoadedNetwork, load
from adumbra.posterior.refined import refinement_of
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.simulation.cohort import PhantomRef
from adumbra.uncertainty.maps import summarise

ARMS: Mapping[str, WindowSelection] = {
    "first": "none",
    "uncertain": "uncertain",
    "random": "random",
    "all": "all",
    "error": "error",
}
"""The selection of windows of each arm; ``first`` is the first pass alone."""
BASELINE, CONTROL, GUIDED = "first", "random", "uncertain"

Row = Mapping[str, Any]
"""One case and one arm: ``study``, ``case``, ``arm``, the scores, and the cost."""


@dataclass(frozen=True)
class RefinementStudy:
    """The settings of a study.

    Attributes:
        first: Weights of the first pass.
        second: Weights of the second pass.
        target: The target to segment.
        draws: Number of draws of each arm.
        selection: Limits of the windows, and the uncertainty that chooses them; each arm has a rule of its own.
        weight: Weight of the second pass.
        second_spacing_mm: Apply the second networks at this spacing instead of that of their training. The rows are
            then marked as a trial of the code, for the networks were not trained for it; None takes their own.
        threads: Processor threads; None leaves torch's own choice.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    target: Target = "lesion"
    draws: int = 10
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    weight: float = 1.0
    second_spacing_mm: float | None = None
    threads: int | None = None

    @property
    def is_trial(self) -> bool:
        """Whether the second networks are used at a spacing that they were not trained for."""
        return self.second_spacing_mm is not None

    def networks(self) -> tuple[LoadedNetwork, ...]:
        """The networks of the second pass."""
        networks = tuple(load(name) for name in self.second)
        if self.second_spacing_mm is None:
            return networks
        return tuple(replace(n, card=replace(n.card, spacing_mm=self.second_spacing_mm)) for n in networks)

    def models(self) -> dict[str, SegmentationModel]:
        """The model of each arm; their first passes are the same."""
        compute = ComputeConfig(threads=self.threads)
        config = InferenceConfig(weights=self.first, draws=self.draws, calibration="none", compute=compute)
        first, networks = load_model(self.target, config), self.networks()
        models = {}
        for arm in ARMS:
            selection = replace(self.selection, rule=ARMS[arm])
            second = RefinementConfig(self.second, selection, self.weight)
            members = len(first.networks)
            refinement = refinement_of(networks, second, target=self.target, first_members=members, compute=compute)
            models[arm] = first if arm == BASELINE else replace(first, refinement=refinement)
        return models

    def identity(self, networks: Sequence[LoadedNetwork]) -> str:
        """A hash of the settings and of the weights: rows of different studies are not compared."""
        settings = asdict(self) | {"threads": None, "first": None, "second": None}
        hashes = [network.card.sha256 for network in networks]
        return hashlib.sha256(json.dumps([settings, hashes], sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class _AlignedCase:
    """What the arms share of a case."""

    case: Case
    region: Mask
    number: int


def run_study(
    study: RefinementStudy, cases: Sequence[PhantomRef], rows: Path, *, progress: Progress = quiet
) -> list[Row]:
    """Measures every arm on every case, and appends a row for each.

    Args:
        study: The settings.
        cases: Cases with ground truth that no network was trained on.
        rows: The file of JSON lines; rows of other studies in it are left alone.
        progress: Shows the progress over cases.

    Returns:
        The rows of this study and these cases.

    Raises:
        MissingInput: A case has no ground truth.
        WeightsRejected: Weights cannot be used.
    """
    models = study.models()
    refined = models[GUIDED].refinement
    seconds = () if refined is None else study.networks()
    identity = study.identity([*models[BASELINE].networks, *seconds])
    done = {(row["case"], row["preset"], row["arm"]): row for row in read_rows(rows) if row["study"] == identity}
    rows.parent.mkdir(parents=True, exist_ok=True)
    _drop_unfinished_line(rows)
    for number, ref in enumerate(progress.track(cases, what="Refining", total=len(cases))):
        missing = [arm for arm in models if (ref.name, ref.preset, arm) not in done]
        if not missing:
            continue
        aligned = _aligned(ref.open(), models[GUIDED], number)
        for arm in missing:
            row = {"study": identity, "trial": study.is_trial, "case": ref.name, "preset": ref.preset, "arm": arm}
            row |= {"draws": study.draws, **measured(_with_seed(models[arm], number), aligned.case, aligned.region)}
            with rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, allow_nan=True) + "\n")
            done[ref.name, ref.preset, arm] = row
    return [done[ref.name, ref.preset, arm] for ref in cases for arm in models]


def measured(model: SegmentationModel, aligned: Case, region: Mask) -> dict[str, object]:
    """Scores of one arm on one aligned case, the number of its windows, and its processor seconds."""
    low, high = model.thresholds
    begun = time.process_time()
    first = model.prepare(model.network_cases(aligned), aligned.grid, within=region)
    refined = model.refine(first, aligned, within=region)
    draws = (refined or first).draws(int(model.config.draws), np.random.default_rng(model.config.seed))
    maps, _ = summarise(
        draws, target=model.target, grid=aligned.grid, threshold=low, high_threshold=high, within=region
    )
    seconds = time.process_time() - begun
    truth = aligned.masks[model.target].data
    windows = 0 if refined is None else len(refined.choice.windows.corners)
    return {
        "windows": windows,
        "all_windows": 0 if refined is None else refined.choice.all_windows,
        "covered_share": float("nan") if refined is None else refined.choice.covered_share,
        "cpu_s": round(seconds, 3),
        "true_ml": float(np.count_nonzero(truth)) * aligned.grid.voxel_ml,
        "predicted_ml": float(np.count_nonzero(maps.mask)) * aligned.grid.voxel_ml,
        "scores": scores(maps.mask, truth, aligned.grid),
    }


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file; none where there is no file.

    Raises:
        ImplausibleValues: A line is no row, except an unfinished last one.
    """
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise ImplausibleValues(
                    f"{path.name}, line {number}", expected="a row", found=line[:40], do="delete the line"
                ) from error


def _drop_unfinished_line(path: Path) -> None:
    """Removes what an interrupted run has left of its last row."""
    text = path.read_text("utf-8") if path.is_file() else ""
    if text and not text.endswith("\n"):
        write_atomically(path, text[: text.rfind("\n") + 1].encode())


def _aligned(case: Case, model: SegmentationModel, number: int) -> _AlignedCase:
    aligned = model.align(case)
    if aligned.truth(model.target) is None:
        raise MissingInput(
            case.name, expected=f"a mask of the {model.target}", found="none", do="leave the case out of the study"
        )
    region = dilate(aligned.masks["brain"].data, aligned.grid, by_mm=BEYOND_BRAIN_MM)
    return _AlignedCase(aligned, region, number)


def _with_seed(model: SegmentationModel, number: int) -> SegmentationModel:
    """The model with a seed of its own for each case, so that random windows differ between cases."""
    if model.refinement is None:
        return model
    second = model.refinement.second_pass
    second = replace(second, selection=replace(second.selection, seed=number))
    return replace(model, refinement=replace(model.refinement, second_pass=second))
