"""A case on its way through a first pass, and through a second pass over some windows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from adumbra.core.case import Case, Scan
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import SelectionConfig
from adumbra.core.results import AttentionMaps
from adumbra.core.types import Mask, Structure, Target, Volume
from adumbra.fusion.refinement.blending import Blend
from adumbra.fusion.refinement.selection import WindowChoice, select_windows
from adumbra.fusion.refinement.uncertainty import first_pass_error, first_pass_uncertainty
from adumbra.fusion.refinement.windows import WindowSize
from adumbra.inference.posteriors import Posterior, PreparedCase, require_draws

CaseReader = Callable[[Grid], Case]
"""A case on any grid with the axes of its own: normalised scans, zero outside their fields of view."""
_BRANCH = 2**32 - 1  # Spawn key of the second pass; a first pass would reach it after four billion draws.


@dataclass(frozen=True, eq=False)
class SecondPass:
    """A second pass, whatever the case.

    Attributes:
        posterior: Posterior of the second pass; its windows have the size below.
        size: Spacing and side of its windows.
        selection: Which windows are read.
        weight: Weight of the second pass, see ``fusion.refinement.blending``.
        target: The target that is segmented.
    """

    posterior: Posterior
    size: WindowSize
    selection: SelectionConfig
    weight: float
    target: Target

    def refine(self, first: PreparedCase, case: Case, read: CaseReader, *, region: Mask) -> "RefinedCase":
        """Chooses the windows of a case, and prepares them.

        Args:
            first: The case prepared by the first pass; its draws lie on ``case.grid``.
            case: The brain mask, and the ground truth for the oracle selection.
            read: Gives the case on the grid of a window.
            region: (X, Y, Z), the region that is segmented: the dilated brain.

        Raises:
            MissingInput: The oracle selection has no ground truth, or a window none of the networks' modalities.
        """
        choice = self._choice(first, case, region)
        windows = [self.posterior.prepare(_all_brain(read(grid))) for grid in choice.windows.grids()]
        blend = Blend(choice.windows, case.grid, region, weight=self.weight) if windows else None
        return RefinedCase(first, windows, blend, choice)

    def _choice(self, first: PreparedCase, case: Case, region: Mask) -> WindowChoice:
        brain, selection = case.masks["brain"].data, self.selection
        quantity: Volume = np.zeros(case.grid.shape, dtype=np.float32)
        if selection.rule not in ("all", "none"):
            draws = first.draws(selection.draws, np.random.default_rng(selection.seed))
            quantity, probability = first_pass_uncertainty(draws, brain, measure=selection.measure)
            if selection.rule == "error":
                quantity = first_pass_error(probability, case, target=self.target)
        return select_windows(quantity, brain, region, case.grid, size=self.size, selection=selection)


@dataclass(frozen=True, eq=False)
class RefinedCase:
    """A prepared case: each draw of the first pass is refined by a draw of the second.

    Attributes:
        first: The case prepared by the first pass.
        windows: Each window prepared by the second pass.
        blend: Blends the windows into the first pass; None without windows.
        choice: Which windows they are.
        first_mean: The mean of all draws of the first pass so far.
    """

    first: PreparedCase
    windows: Sequence[PreparedCase]
    blend: Blend | None
    choice: WindowChoice
    first_mean: "RunningMean" = field(default_factory=lambda: RunningMean())

    def draw(self, generator: np.random.Generator) -> Volume:
        """One draw: the same draw of the second pass in every window."""
        volume = self.first.draw(generator)
        if self.blend is None:
            return volume
        seed = int(generator.integers(2**63))
        return self.blend(volume, [window.draw(np.random.default_rng(seed)) for window in self.windows])

    def draws(self, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; those of the first pass are the ones that it gives alone."""
        require_draws(n)
        windows = [window.draws(n, branch(generator)) for window in self.windows]
        return (self._refined(first, windows) for first in self.first.draws(n, generator))

    def deterministic(self) -> Volume:
        """Both passes without randomness."""
        volume = self.first.deterministic()
        return volume if self.blend is None else self.blend(volume, (w.deterministic() for w in self.windows))

    def attention_maps(self) -> AttentionMaps | None:
        """Those of the first pass."""
        return self.first.attention_maps()

    def structure_maps(self) -> Mapping[Structure, Volume]:
        """Those of the first pass."""
        return self.first.structure_maps()

    def _refined(self, first: Volume, windows: Sequence[Iterator[Volume]]) -> Volume:
        self.first_mean.add(first)
        return first if self.blend is None else self.blend(first, (next(window) for window in windows))


class RunningMean:
    """The mean of volumes that are added one by one; its memory does not grow with their number."""

    def __init__(self) -> None:
        self.count = 0
        self._total: np.ndarray | None = None

    def add(self, volume: Volume) -> None:
        """Adds a volume."""
        self._total = volume.astype(np.float64) if self._total is None else np.add(self._total, volume, out=self._total)
        self.count += 1

    @property
    def value(self) -> Volume | None:
        """The mean, float32; None before the first volume."""
        return None if self._total is None else np.asarray(self._total / self.count, dtype=np.float32)


def branch(generator: np.random.Generator) -> np.random.Generator:
    """A generator whose children accompany those of another one, which is not changed.

    Child n of the branch belongs to child n of the generator, also where earlier children were spawned before.
    """
    seed = generator.bit_generator.seed_seq
    own = np.random.SeedSequence(
        seed.entropy,  # type: ignore[attr-defined]
        spawn_key=(*seed.spawn_key, _BRANCH),  # type: ignore[attr-defined]
        n_children_spawned=seed.n_children_spawned,  # type: ignore[attr-defined]
    )
    return np.random.Generator(np.random.PCG64(own))


def _all_brain(window: Case) -> Case:
    """The case of a window, which is read as a whole, also where the brain mask misses a rim of cortex."""
    grid = window.grid
    brain = Scan(np.ones(grid.shape, dtype=bool), grid, grid)
    return replace(window, masks={"brain": brain})
