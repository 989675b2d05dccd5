"""A deep ensemble: several networks trained independently, each with a posterior of its own or none.

Lakshminarayanan et al., NeurIPS 2017. The members take turns, draw by draw, so that each has an equal share.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adumbra.core.case import Case
from adumbra.core.errors import WeightsRejected
from adumbra.core.references import cites
from adumbra.core.results import AttentionMaps
from adumbra.core.rng import children
from adumbra.core.types import Channels, Structure, Target, Volume
from adumbra.inference.attention_maps import mean_attention
from adumbra.inference.posteriors import Posterior, PreparedCase, require_draws
from adumbra.inference.structures import mean_structures


@cites("Lakshminarayanan2017")
@dataclass(frozen=True, eq=False)
class DeepEnsemble:
    """One posterior of several.

    Attributes:
        members: Two or more posteriors of the same targets.

    Raises:
        ValueError: No member.
        WeightsRejected: The members segment different targets.
    """

    members: Sequence[Posterior]

    def __post_init__(self) -> None:
        if not self.members:
            raise ValueError("members: expected at least one posterior, found none")
        first, *others = (member.targets for member in self.members)
        for number, targets in enumerate(others, start=2):
            if targets != first:
                raise WeightsRejected(
                    f"member {number}",
                    expected=f"the targets of member 1: {', '.join(first)}",
                    found=", ".join(targets),
                    do="make an ensemble of weights for the same targets",
                )

    @property
    def targets(self) -> tuple[Target | Structure, ...]:
        """Targets that every member segments."""
        return self.members[0].targets

    @property
    def state(self) -> Mapping[str, object]:
        """The state of each member."""
        return {"approximation": "ensemble", "members": [dict(member.state) for member in self.members]}

    @property
    def methods(self) -> tuple[object, ...]:
        """The classes whose papers a manifest names."""
        return tuple(dict.fromkeys([DeepEnsemble, *(method for member in self.members for method in member.methods)]))

    def prepare(self, case: Case, guidance: Channels | None = None) -> "EnsembleCase":
        """The case prepared by every member; see ``inference.posteriors.Posterior.prepare``."""
        return EnsembleCase([member.prepare(case, guidance) for member in self.members])

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``inference.posteriors.Posterior.draws``."""
        require_draws(n)
        return self.prepare(case).draws(n, generator)

    def deterministic(self, case: Case) -> Volume:
        """The mean of the members' deterministic volumes."""
        return _mean([member.deterministic(case) for member in self.members])


@dataclass(frozen=True, eq=False)
class EnsembleCase:
    """A case prepared by every member.

    Attributes:
        members: The prepared cases.
    """

    members: Sequence[PreparedCase]

    def draw(self, generator: np.random.Generator) -> Volume:
        """A draw of a member that the generator chooses; ``draws`` has the members take turns instead."""
        return self.members[int(generator.integers(len(self.members)))].draw(generator)

    def draws(self, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time.

        The next member follows from the number of children that the generator has had, so that further draws continue
        in turn.
        """
        require_draws(n)
        first = generator.bit_generator.seed_seq.n_children_spawned  # type: ignore[attr-defined]
        turns = enumerate(children(generator, n), start=first)
        return (self.members[turn % len(self.members)].draw(child) for turn, child in turns)

    def deterministic(self) -> Volume:
        """The mean of the members' deterministic volumes."""
        return _mean([member.deterministic() for member in self.members])

    def attention_maps(self) -> AttentionMaps | None:
        """The mean over the members; None unless all attend from and to the same modalities."""
        return mean_attention([member.attention_maps() for member in self.members])

    def structure_maps(self) -> Mapping[Structure, Volume]:
        """The mean over the members that learn the structure."""
        return mean_structures([member.structure_maps() for member in self.members])


def _mean(volumes: Sequence[Volume]) -> Volume:
    mean = np.zeros(volumes[0].shape, dtype=np.float64)
    for volume in volumes:
        mean += volume / len(volumes)
    return mean.astype(np.float32)
