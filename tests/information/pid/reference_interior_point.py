"""A slow reference of the interior-point method: plain NumPy, one problem, dense matrices, no vectors of problems.

Equations and symbols are those of ``adumbra.information.pid.interior_point``. Shapes: α (X, T), β (T, Y), π (X, T, Y),
and c, w, s, ω (X, Y).
"""

from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-10


@dataclass(frozen=True)
class Point:
    """An iterate of one problem."""

    tx: np.ndarray
    ty: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    w: np.ndarray
    s: np.ndarray
    omega: np.ndarray

    @property
    def pi(self) -> np.ndarray:
        """π = exp(α + β - c), q(t|x,y)."""
        return np.exp(self.alpha[:, :, None] + self.beta[None] - self.c[:, None])

    @property
    def c(self) -> np.ndarray:
        """c = ln Σ_t exp(α + β)."""
        return np.log(np.exp(self.alpha[:, :, None] + self.beta[None]).sum(1))


def first_point(tx: np.ndarray, ty: np.ndarray, *, careful: bool) -> Point:
    """q(t,x,y) = p(t,x) p(t,y) / p(t); all marginals have to be positive."""
    pt, px, py = tx.sum(0), tx.sum(1), ty.sum(0)
    alpha = np.log(tx / px[:, None]) - 0.5 * np.log(pt)
    beta = np.log(ty / py) - 0.5 * np.log(pt)[:, None]
    w = np.einsum("xt,ty->xy", tx / pt, ty)
    s = np.maximum(-np.log(w / np.outer(px, py)), 0.1)
    most = np.minimum(tx[:, :, None], ty[None]).sum(1)
    omega = most if careful else most**0.75
    return Point(tx, ty, alpha, beta, w, s, omega / omega.sum())


def newton_matrix(point: Point) -> np.ndarray:
    """H = Σ_xy w diag(π) + w (1/s - 1) π πᵀ of the unknowns α(x,t), then β(t,y); its gauge is fixed by doubling."""
    X, T, Y = point.pi.shape
    H = np.zeros((X * T + T * Y, X * T + T * Y))
    for x in range(X):
        for y in range(Y):
            pi, w, s = point.pi[x, :, y], point.w[x, y], point.s[x, y]
            block = w * np.diag(pi) + w * (1.0 / s - 1.0) * np.outer(pi, pi)
            unknowns = np.zeros((T, H.shape[0]))
            for t in range(T):
                unknowns[t, x * T + t] = unknowns[t, X * T + t * Y + y] = 1.0
            H += unknowns.T @ block @ unknowns
    for t in range(T):
        k = X * T + t * Y + int(np.argmax(point.ty[t]))
        H[k, k] *= 2.0
    return H


def newton_direction(point: Point, central: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Δα, Δβ, Δw and Δs of equations (1) to (4), linearised, and the length that keeps w and s from 0 up."""
    X, T, Y = point.pi.shape
    pi, c, w, s = point.pi, point.c, point.w, point.s
    reached = (central + w * (c + s)) / s
    of_x = point.tx - (pi * reached[:, None]).sum(2)
    of_y = point.ty - (pi * reached[:, None]).sum(0)
    solution = np.linalg.solve(newton_matrix(point), np.concatenate([of_x.ravel(), of_y.ravel()]))
    d_alpha, d_beta = solution[: X * T].reshape(X, T), solution[X * T :].reshape(T, Y)
    d_c = (pi * (d_alpha[:, :, None] + d_beta[None])).sum(1)
    d_s = -(c + s) - d_c
    d_w = reached - w + w / s * d_c
    length = 1.0 / max(1.0, float((-d_s / s).max()), float((-d_w / w).max()))
    return d_alpha, d_beta, d_w, d_s, length


def iterate(point: Point, *, careful: bool) -> Point:
    """One predictor-corrector iteration."""
    fraction, straight = (0.9, 0.3) if careful else (0.995, 0.1)
    gap = float((point.w * point.s).sum())
    _, _, d_w, d_s, length = newton_direction(point, np.zeros_like(point.w))
    ratio = float(((point.w + length * d_w) * (point.s + length * d_s)).sum()) / gap
    central = max(ratio**4 * gap, 0.1 * TOLERANCE) * point.omega - (d_w * d_s if length > straight else 0.0)
    d_alpha, d_beta, d_w, d_s, length = newton_direction(point, central)
    largest = max(np.abs(d_alpha).max(), np.abs(d_beta).max())
    h = min(length * fraction, 3.0 / largest, 1.0)
    return Point(
        point.tx,
        point.ty,
        point.alpha + h * d_alpha,
        point.beta + h * d_beta,
        point.w + h * d_w,
        point.s + h * d_s,
        point.omega,
    )


def infeasibility(point: Point) -> float:
    """Nats that infeasibility costs the bounds, roughly."""
    q = point.w[:, None] * point.pi
    moved = np.abs(point.tx - q.sum(2)).sum() + np.abs(point.ty - q.sum(0)).sum()
    violation = (point.tx.sum(1) * np.maximum(point.c, 0.0).max(1)).sum()
    return 2.0 * float(moved) + float(violation)


def distance(point: Point) -> float:
    """The duality gap, and once it is small also the infeasibility."""
    gap = float((point.w * point.s).sum())
    return gap if gap >= TOLERANCE else gap + infeasibility(point)


def solve(tx: np.ndarray, ty: np.ndarray, *, careful: bool) -> Point:
    """The last iterate of a problem with the marginals (X, T) and (T, Y)."""
    point = first_point(tx, ty, careful=careful)
    for _ in range(1000 if careful else 60):
        if distance(point) < TOLERANCE:
            break
        point = iterate(point, careful=careful)
    return point
