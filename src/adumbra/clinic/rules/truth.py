"""Where a criterion holds and where it fails, draw by draw, in three values: it holds, it fails, or nobody can say.

The third value is Kleene's: a group holds or fails wherever its known parts settle it, whatever the unknown parts are.
More knowledge therefore never takes back what is settled.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from adumbra.clinic.rules.case_values import CaseValues
from adumbra.clinic.rules.criteria import Comparison, Criterion, Group, OtherRule, parts_of
from adumbra.clinic.rules.quantities import QUANTITIES, SITE_GROUPS


@dataclass(frozen=True, eq=False)
class Truth:
    """One criterion in every draw; where it neither holds nor fails, it is unknown.

    Attributes:
        holds: (N,), draws in which it holds.
        fails: (N,), draws in which it fails; never together with ``holds``.
    """

    holds: Bool[np.ndarray, " N"]
    fails: Bool[np.ndarray, " N"]

    @property
    def unknown(self) -> Bool[np.ndarray, " N"]:
        """Draws in which nobody can say."""
        return ~(self.holds | self.fails)


def truth(criterion: Criterion, values: CaseValues) -> Truth:
    """A criterion in every draw of a case.

    A number that is undefined in a draw, such as the ratio of two empty volumes, fails there.
    """
    match criterion:
        case Comparison():
            return _comparison(criterion, values)
        case OtherRule(rule=rule):
            return truth(rule.root, values)
        case Group(combination=combination, parts=parts):
            truths = [truth(part, values) for part in parts]
            holds, fails = [part.holds for part in truths], [part.fails for part in truths]
            every, some = np.logical_and.reduce, np.logical_or.reduce
            if combination == "all_of":
                return Truth(every(holds), some(fails))
            if combination == "any_of":
                return Truth(some(holds), every(fails))
            return Truth(every(fails), some(holds))


def deciding_missing(criterion: Criterion, values: CaseValues) -> set[str]:
    """Missing quantities on which it depends whether a criterion holds, in at least one draw.

    Missing quantities of parts that cannot change the result are left out.
    """
    return _missing(criterion, values, np.ones(values.n_draws, dtype=bool))


def _missing(criterion: Criterion, values: CaseValues, draws: Bool[np.ndarray, " N"]) -> set[str]:
    open_draws = draws & truth(criterion, values).unknown
    if not open_draws.any():
        return set()
    if isinstance(criterion, Comparison):
        return {criterion.quantity}
    return {name for part in parts_of(criterion) for name in _missing(part, values, open_draws)}


def _comparison(comparison: Comparison, values: CaseValues) -> Truth:
    column = values.column(comparison.quantity)
    if column is None:
        nowhere = np.zeros(values.n_draws, dtype=bool)
        return Truth(nowhere, nowhere)
    kind = QUANTITIES[comparison.quantity].kind
    if kind == "flag":
        holds = column == comparison.flag
        return Truth(holds, ~holds)
    if kind == "site":
        return _site(comparison, column)
    holds = ~np.isnan(column)
    for limit, keeps in (
        (comparison.at_least, np.greater_equal),
        (comparison.above, np.greater),
        (comparison.at_most, np.less_equal),
        (comparison.below, np.less),
    ):
        if limit is not None:
            holds = holds & keeps(column, limit)
    return Truth(holds, ~holds)


def _site(comparison: Comparison, column: np.ndarray) -> Truth:
    possible = [SITE_GROUPS.get(site, (site,)) for site in column.tolist()]
    holds = np.array([all(site in comparison.one_of for site in sites) for sites in possible], dtype=bool)
    fails = np.array([not any(site in comparison.one_of for site in sites) for sites in possible], dtype=bool)
    return Truth(holds, fails)
