"""Uncertainty-guided refinement as a posterior.

A first pass is uncertain in a few places. There, and only there, the case is read again by other networks, on a finer
grid. Which windows are read is a choice with its controls: as many at random, all, none, and those where the first
pass is wrong. Whether the uncertainty is worth its cost is what the controls measure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from adumbra.core.case import Case, Scan
from adumbra.core.errors import GridMismatch, WeightsRejected
from adumbra.core.geometry.components import dilate
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.options import SelectionConfig
from adumbra.core.references import cites
from adumbra.core.types import Affine, Channels, Modality, Structure, Target, Volume, targets_of
from adumbra.fusion.refinement.refined_case import RefinedCase, SecondPass
from adumbra.fusion.refinement.windows import WindowSize
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.inference.posteriors import Posterior, require_draws

_TOLERANCE = 0.1  # Relative tolerance of the spacing, as in ``inference.model_input``.


@cites("Yang2025")
@dataclass(frozen=True, eq=False)
class RefinedPosterior:
    """A posterior whose uncertain windows are refined by another.

    It reads the windows from the case that it is given, so that both passes need one spacing.
    ``segmentation_model.SegmentationModel`` refines at the scan's own resolution.

    Attributes:
        first: Posterior of the first pass.
        second: Posterior of the second pass, such as an ensemble of networks that the first pass does not hold.
        windows: Spacing and side of the windows of the second pass.
        selection: Which windows are read.
        weight: Weight of the second pass: 1 replaces the first, 0 leaves it, values between average the log-odds.

    Raises:
        WeightsRejected: The passes segment different targets.
    """

    first: Posterior
    second: Posterior
    windows: WindowSize
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    weight: float = 1.0

    def __post_init__(self) -> None:
        require_same_targets(self.first, self.second)

    @property
    def targets(self) -> tuple[Target | Structure, ...]:
        """Targets that both passes segment."""
        return self.first.targets

    @property
    def state(self) -> Mapping[str, object]:
        """State of the first pass, and of its refinement."""
        return {**self.first.state, "refinement": second_pass_state(self._second_pass)}

    @property
    def methods(self) -> tuple[object, ...]:
        """The classes whose papers a manifest names."""
        return tuple(dict.fromkeys((RefinedPosterior, *self.first.methods, *self.second.methods)))

    @property
    def _second_pass(self) -> SecondPass:
        return SecondPass(self.second, self.windows, self.selection, self.weight, targets_of(self.targets)[0])

    def prepare(self, case: Case, guidance: Channels | None = None) -> RefinedCase:
        """The case prepared by the first pass, and its windows by the second.

        Args:
            case: See ``inference.posteriors.Posterior.prepare``, with its errors.
            guidance: Guidance maps, for a guided first pass.

        Raises:
            GridMismatch: The case is coarser or finer than the windows.
            MissingInput: The oracle selection has no ground truth.
        """
        first = self.first.prepare(case, guidance)
        self._require_spacing(case)
        region = dilate(case.masks["brain"].data, case.grid, by_mm=BEYOND_BRAIN_MM)
        return self._second_pass.refine(first, case, lambda grid: _resampled(case, grid), region=region)

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``inference.posteriors.Posterior.draws``."""
        require_draws(n)
        return self.prepare(case).draws(n, generator)

    def deterministic(self, case: Case) -> Volume:
        """Both passes without randomness."""
        return self.prepare(case).deterministic()

    def _require_spacing(self, case: Case) -> None:
        if np.abs(np.asarray(case.grid.spacing_mm) / self.windows.spacing_mm - 1.0).max() > _TOLERANCE:
            spacing = " × ".join(f"{s:.3g}" for s in case.grid.spacing_mm)
            raise GridMismatch(
                case.name,
                expected=f"voxels of {self.windows.spacing_mm:g} mm, as the second pass was trained on",
                found=f"{spacing} mm",
                do="refine with segmentation_model.load_model, which reads the case at the spacing of each pass",
            )


def require_same_targets(first: Posterior, second: Posterior) -> None:
    """Refuses a second pass for other targets than the first.

    Raises:
        WeightsRejected: The targets differ.
    """
    if first.targets != second.targets:
        raise WeightsRejected(
            "second pass",
            expected=f"weights for the targets of the first pass: {', '.join(first.targets)}",
            found=f"weights for {', '.join(second.targets)}",
            do="refine with weights for the same target",
        )


def second_pass_state(second: SecondPass) -> dict[str, object]:
    """The settings of a second pass as plain values, for a manifest."""
    return {
        **dict(second.posterior.state),
        "windows": asdict(second.size),
        "selection": asdict(second.selection),
        "weight": second.weight,
    }


def _resampled(case: Case, grid: Grid) -> Case:
    """The case on the grid of a window; the voxels coincide, and are copied. Its mirror images are interpolated."""

    def scans(moving_from_fixed: Affine | None) -> dict[Modality, Scan]:
        return {
            modality: replace(
                scan,
                data=resample(scan.data, scan.grid, grid, moving_from_fixed=moving_from_fixed, antialias=False),
                grid=grid,
                valid_mask=None,
            )
            for modality, scan in case.scans.items()
        }

    mirrors = {} if case.reflection is None else scans(case.reflection)
    return replace(case, scans=scans(None), masks={}, mirrors=mirrors)
