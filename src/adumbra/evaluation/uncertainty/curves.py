"""Reliability, risk and coverage, retention: of a case, or the mean over cases, as lines to draw."""

from collections.abc import Sequence

import numpy as np

from adumbra.core.results import Curve, Curves
from adumbra.evaluation.uncertainty.quality import CaseQuality, Quality
from adumbra.evaluation.uncertainty.reliability import ReliabilityTable

SHARES = np.linspace(0.0, 1.0, 101)
"""Where risk and retention are read off: one per cent apart."""


def curves(found: CaseQuality) -> Curves:
    """Those of one case; risk and retention (101,) each."""
    return _curves(found.brain, found.boundary, [found])


def mean_curves(found: Quality) -> Curves:
    """Reliability of all voxels of all cases; risk and retention (101,), means over the cases that have them."""
    return _curves(found.brain, found.boundary, list(found.cases.values()))


def _curves(brain: ReliabilityTable, boundary: ReliabilityTable, cases: Sequence[CaseQuality]) -> Curves:
    risks = [(case.risk.coverage, case.risk.risk) for case in cases]
    kept = [(case.retention.kept, case.retention.score) for case in cases]
    return Curves(_reliability(brain), _reliability(boundary), _mean(risks), _mean(kept))


def _reliability(table: ReliabilityTable) -> Curve:
    return table.mean_probability, table.frequency


def _mean(lines: Sequence[Curve]) -> Curve:
    heights = [np.interp(SHARES, *_rising(x, y)) for x, y in lines if x.size]
    return SHARES, np.mean(heights, axis=0) if heights else np.full(SHARES.shape, np.nan)


def _rising(x: np.ndarray, y: np.ndarray) -> Curve:
    order = np.argsort(x, kind="stable")
    return x[order], y[order]
