"""The map between a head and the template, by Gauss and Newton.

Two quantities are compared. The distance to the surface of the brain aligns the two brains; it needs no contrast. The
intensity inside the brain is modelled as a linear combination of the tissue maps with a bias that is linear in space
(Friston et al. 1995): whatever the sequence, grey matter, white matter and fluid each have some signal, which is
estimated together with the map. Residuals are weighted by Tukey's function, so that an infarct, a bright vessel or an
error of the brain mask has no influence. Points outside the field of view are not compared; there the prior decides.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from adumbra.core.references import cites
from adumbra.preprocessing.atlas.deformation import (
    AFFINE,
    MEAN,
    PRECISION,
    SIZE,
    affine_derivatives,
    affine_of,
    polynomials,
)
from adumbra.preprocessing.atlas.template_maps import TISSUES, TemplateMaps

_TUKEY = 4.685  # In robust standard deviations: 95 % efficiency for normal residuals.
_DEPTH_MM = 3.0  # Standard deviation of the distance to the surface: folds, and errors of the mask.
_CORRELATION_MM = 14.0  # Side of the cube that counts as one observation, for residuals are correlated.
_CONVERGED = 1e-3  # Decrease of the cost below which a fit ends.
_BIAS_MM = 60.0  # Distance over which the bias changes by its coefficient.

Stage = Literal["surface", "affine", "bending"]
"""The affine map by the surface alone; the affine map by surface and intensity; the whole map by both."""


@dataclass(frozen=True, eq=False)
class HeadSamples:
    """What the fit reads of a head.

    Attributes:
        points_mm: (3, N), points within the field of view in the brain or near it, subject mm.
        depth_mm: (N,), signed distance to the surface of the brain, negative inside.
        inside: (N,), whether a point lies in the brain and was measured.
        intensity: (N,), smoothed signal, in units of its own spread.
        centre_mm: (3,), centre of the brain.
        spacing_mm: Distance between points, as the cube root of the volume of one.
    """

    points_mm: np.ndarray
    depth_mm: np.ndarray
    inside: np.ndarray
    intensity: np.ndarray
    centre_mm: np.ndarray
    spacing_mm: float

    def every(self, step: int) -> "HeadSamples":
        """Every ``step``-th of the points."""
        return HeadSamples(
            self.points_mm[:, ::step],
            self.depth_mm[::step],
            self.inside[::step],
            self.intensity[::step],
            self.centre_mm,
            self.spacing_mm * step ** (1 / 3),
        )


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted map and its cost.

    Attributes:
        parameters: (SIZE,), see ``deformation``.
        cost: Robust cost with the prior; lower is better. It compares fits of the same samples.
    """

    parameters: np.ndarray
    cost: float


@dataclass(frozen=True, eq=False)
class _Normal:
    """Normal equations of one step: Hessian (P, P), negative gradient (P,), cost."""

    hessian: np.ndarray
    gradient: np.ndarray
    cost: float


@cites("Friston1995")
def fit(head: HeadSamples, maps: TemplateMaps, start: np.ndarray, *, stage: Stage, reach_mm: float, steps: int) -> Fit:
    """Improves the parameters of a map.

    Args:
        head: Samples of the head.
        maps: The template.
        start: (SIZE,), parameters to start from.
        stage: What is compared, and which parameters change.
        reach_mm: Distance from the surface up to which the depth is compared.
        steps: Largest number of Gauss-Newton steps.
    """
    parameters, cost = np.array(start, dtype=np.float64), np.inf
    weight = min(1.0, (head.spacing_mm / _CORRELATION_MM) ** 3)
    free = SIZE if stage == "bending" else AFFINE
    for _ in range(steps):
        terms = _terms(head, maps, parameters, stage, reach_mm)
        deviation = (parameters - MEAN)[:free]
        hessian = weight * sum(term.hessian for term in terms) + np.diag(PRECISION[:free])
        gradient = weight * sum(term.gradient for term in terms) - PRECISION[:free] * deviation
        cost = weight * sum(term.cost for term in terms) + 0.5 * float(PRECISION[:free] @ deviation**2)
        step = np.linalg.solve(hessian, gradient)
        parameters[:free] += step
        if float(step @ hessian @ step) < _CONVERGED:
            break
    return Fit(parameters, cost)


def _terms(
    head: HeadSamples, maps: TemplateMaps, parameters: np.ndarray, stage: Stage, reach_mm: float
) -> list[_Normal]:
    """The normal equations of the depth, and of the intensity where it is compared."""
    motion = _Motion(head, parameters, bends=stage == "bending")
    if stage == "surface":
        depth, gradient = maps.depth(motion.at_mm)
        return [_depth_term(head.depth_mm, depth, motion.contracted(gradient), reach_mm)]
    values, gradients = maps.sample(motion.at_mm)
    inner = motion.within(head.inside)
    tissues, slopes = values[:-1, head.inside], gradients[:-1, :, head.inside]
    offsets = (head.points_mm[:, head.inside] - head.centre_mm[:, None]) / _BIAS_MM
    return [
        _depth_term(head.depth_mm, values[-1], motion.contracted(gradients[-1]), reach_mm),
        _intensity_term(head.intensity[head.inside], tissues, slopes, offsets, inner),
    ]


class _Motion:
    """Where points land in the template, and how that changes with the parameters."""

    def __init__(self, head: HeadSamples, parameters: np.ndarray, *, bends: bool) -> None:
        affine = affine_of(parameters, head.centre_mm)
        self.slopes = affine_derivatives(parameters, head.centre_mm).reshape(AFFINE, 12).astype(np.float32)
        self.points = np.vstack([head.points_mm, np.ones_like(head.points_mm[:1])]).astype(np.float32)
        straight = affine[:3] @ self.points
        bending = parameters[AFFINE:].reshape(3, -1)
        self.basis = polynomials(straight) if bends or bending.any() else np.zeros((0, straight.shape[1]), np.float32)
        self.at_mm = straight + bending @ self.basis if len(self.basis) else straight
        self.basis = self.basis if bends else self.basis[:0]

    def within(self, inside: np.ndarray) -> "_Motion":
        """The motion of some of the points, a mask (N,)."""
        part = object.__new__(_Motion)
        part.slopes, part.points, part.basis = self.slopes, self.points[:, inside], self.basis[:, inside]
        part.at_mm = self.at_mm[:, inside]
        return part

    def contracted(self, gradient: np.ndarray) -> np.ndarray:
        """Derivative (P, N) by each parameter of a map whose gradient in the template is (3, N)."""
        straight = self.slopes @ (gradient[:, None] * self.points).reshape(12, -1)
        bent = (gradient[:, None] * self.basis).reshape(-1, gradient.shape[1])
        return np.vstack([straight, bent])


def _tukey(residuals: np.ndarray, sigma: float) -> tuple[np.ndarray, float]:
    """Weights of residuals (N,), and the sum of their robust costs."""
    limit = _TUKEY * sigma
    rest = np.clip(1.0 - (residuals / limit) ** 2, 0.0, None)
    return rest**2 / sigma**2, float((limit**2 / 6.0 * (1.0 - rest**3)).sum() / sigma**2)


def _depth_term(measured: np.ndarray, expected: np.ndarray, slopes: np.ndarray, reach_mm: float) -> _Normal:
    """The normal equations of the distance to the surface."""
    residuals = np.clip(measured, -reach_mm, reach_mm) - np.clip(expected, -reach_mm, reach_mm)
    weights, cost = _tukey(residuals, max(_DEPTH_MM, reach_mm / 5.0))
    jacobian = slopes * (np.abs(expected) < reach_mm)
    return _Normal((jacobian * weights) @ jacobian.T, jacobian @ (weights * residuals), cost)


def _intensity_term(
    signal: np.ndarray, tissues: np.ndarray, gradients: np.ndarray, offsets: np.ndarray, motion: _Motion
) -> _Normal:
    """The normal equations of the signal, after elimination of its linear coefficients."""
    # Outside the template's brain all tissues vanish: the constant is the signal of what lies around it.
    basis = np.vstack([tissues, np.ones_like(signal)[None], offsets]).astype(np.float32)
    coefficients, sigma = _robust_fit(signal, basis)
    residuals = signal - coefficients @ basis
    weights, cost = _tukey(residuals, sigma)
    jacobian = motion.contracted(np.einsum("k,kcn->cn", coefficients[: len(TISSUES)], gradients))
    both = np.vstack([jacobian, basis])
    normal, gradient = (both * weights) @ both.T, both @ (weights * residuals)
    own = len(jacobian)
    gain = normal[:own, own:] @ np.linalg.inv(normal[own:, own:] + 1e-6 * np.eye(len(basis)))
    cost += len(signal) * np.log(sigma)  # Fits with other spreads compare by their likelihood.
    return _Normal(normal[:own, :own] - gain @ normal[own:, :own], gradient[:own] - gain @ gradient[own:], cost)


def _robust_fit(signal: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients of a signal in a basis by reweighted least squares, and the robust spread of the residuals."""
    weights, coefficients, sigma = np.ones_like(signal), np.zeros(len(basis)), 1.0
    for _ in range(3):
        normal = (basis * weights) @ basis.T + 1e-6 * len(signal) * np.eye(len(basis))
        coefficients = np.linalg.solve(normal, basis @ (weights * signal))
        residuals = signal - coefficients @ basis
        sigma = max(1.4826 * float(np.median(np.abs(residuals))), 1e-3)
        weights = _tukey(residuals, sigma)[0] * sigma**2
    return coefficients, sigma
