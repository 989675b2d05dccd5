"""A deep ensemble: several networks, trained apart, each with a posterior of its own or none.

Lakshminarayanan et al., NeurIPS 2017. The members take turns, draw by draw, so that each has its share exactly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adumbra.core.case import Case
from adumbra.core.errors import WeightsRejected
from adumbra.core.references import cites
from adumbra.core.rng import children
from adumbra.core.types import Target, Volume
from adumbra.inference.protocols import Posterior, Sampler, require_some


@cites("Lakshminarayanan2017")
@dataclass(frozen=True, eq=False)
class DeepEnsemble:
    """One posterior of several.

    Attributes:
        members: Two or more, of the same targets.

    Raises:
        ValueError: No member.
        WeightsRejected: The members outline different targets.
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
    def targets(self) -> tuple[Target, ...]:
        """What every member outlines."""
        return self.members[0].targets

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed, of each member."""
        return {"approximation": "ensemble", "members": [dict(member.state) for member in self.members]}

    @property
    def methods(self) -> tuple[object, ...]:
        """What a manifest names the papers of."""
        return tuple(dict.fromkeys([DeepEnsemble, *(method for member in self.members for method in member.methods)]))

    def sampler(self, case: Case) -> Sampler:
        """A draw of a member that the draw's own generator chooses; ``draws`` has them take turns instead."""
        samplers = [member.sampler(case) for member in self.members]
        return lambda generator: samplers[int(generator.integers(len(samplers)))](generator)

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``inference.protocols.Posterior.draws``.

        Whose turn it is follows from how many children the generator has had, so that more draws go on in turn.
        """
        require_some(n)
        samplers = [member.sampler(case) for member in self.members]
        first = generator.bit_generator.seed_seq.n_children_spawned  # type: ignore[attr-defined]
        turns = enumerate(children(generator, n), start=first)
        return (samplers[turn % len(samplers)](child) for turn, child in turns)

    def deterministic(self, case: Case) -> Volume:
        """The mean of the members' deterministic volumes."""
        mean = np.zeros(case.grid.shape, dtype=np.float64)
        for member in self.members:
            mean += member.deterministic(case) / len(self.members)
        return mean.astype(np.float32)
