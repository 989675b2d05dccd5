"""Reliability, risk-coverage and retention curves of one case, or their means over cases."""

from collections.abc import Sequence

import numpy as np

from adumbra.core.results import Curve, Curves
from adumbra.evaluation.uncertainty.quality import CaseQuality, UncertaintyQuality
from adumbra.evaluation.uncertainty.reliability import ReliabilityTable

SHARES = np.linspace(0.0, 1.0, 101)
"""Shares at which risk and retention are read off: steps of one per cent."""


def curves(case: CaseQuality) -> Curves:
    """Curves of one case; risk and retention have 101 points each."""
    return _curves(case.brain, case.boundary, [case])


def mean_curves(quality: UncertaintyQuality) -> Curves:
    """Reliability of the voxels of all cases; risk and retention (101,) as means over the cases that have them."""
    return _curves(quality.brain, quality.boundary, list(quality.cases.values()))


def _curves(brain: ReliabilityTable, boundary: ReliabilityTable, cases: Sequence[CaseQuality]) -> Curves:
    risks = [(case.risk.coverage, case.risk.risk) for case in cases]
    retentions = [(case.retention.retained, case.retention.score) for case in cases]
    return Curves(_reliability(brain), _reliability(boundary), _mean(risks), _mean(retentions))


def _reliability(table: ReliabilityTable) -> Curve:
    return table.mean_probability, table.frequency


def _mean(lines: Sequence[Curve]) -> Curve:
    heights = [np.interp(SHARES, *_ascending(x, y)) for x, y in lines if x.size]
    return SHARES, np.mean(heights, axis=0) if heights else np.full(SHARES.shape, np.nan)


def _ascending(x: np.ndarray, y: np.ndarray) -> Curve:
    order = np.argsort(x, kind="stable")
    return x[order], y[order]
