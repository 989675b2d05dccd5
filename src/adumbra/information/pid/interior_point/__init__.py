"""Primal-dual interior-point solver of the BROJA program (Bertschinger et al. 2014).

The program finds, of all distributions q of (T, X, Y) with given marginals, the one of least I(T; X, Y). Makkeh et al.
(2018) solve it as a cone program. Here the dual is solved by the predictor-corrector method of Mehrotra (1992):

    primal   min  Σ q(t,x,y) ln q(t|x,y)       such that  Σ_y q = p(t,x),  Σ_x q = p(t,y),  q ≥ 0
    dual     max  Σ p(t,x) α(t,x) + Σ p(t,y) β(t,y)       such that  c(x,y) = ln Σ_t exp(α(t,x) + β(t,y)) ≤ 0

The conditions of an optimum (Karush, Kuhn, Tucker), relaxed by the barrier parameter μ, are

    (1)  Σ_y w π = p(t,x)     (2)  Σ_x w π = p(t,y)     (3)  c + s = 0     (4)  w s = μ ω

Notation. X, Y and T are the numbers of symbols; N is the number of problems, which share a shape. Arrays may have a
last axis of ``simd.LANES``, one lane for each problem.

    symbol    in code             shape            meaning
    --------  ------------------  ---------------  ------------------------------------------------------------------
    p         iterate.marginals   (X T + T Y)      p(t,x), then p(t,y): the data of the problem
    α, β      iterate.dual        (X T + T Y)      multipliers of (1), then of (2): the unknowns of the dual
    π         iterate.pi          (X, T, Y)        exp(α + β - c), which is q(t|x,y)
    c         iterate.c           (X, Y)           left side of the dual's constraint
    w         iterate.w           (X, Y)           multiplier of c ≤ 0, which is the mass q(x,y); q = w π
    s         iterate.s           (X, Y)           slack of c ≤ 0, an unknown of its own
    ω         iterate.omega       (X, Y)           weight of (x,y) on the central path; Σ ω = 1
    g         iterate.gauge       (T Y)            factor of H's diagonal that fixes the gauge of β, see below
    Δα, Δβ    step.dual           (X T + rows)     Newton's direction, before it: the right-hand side
    Δw, Δs    step.w, step.s      (X, Y)           Newton's direction
    μ ω       step.central        (X, Y)           what w s is to become; the corrector subtracts Δw Δs
    1/w, 1/s  step.inverse_w, _s  (X, Y)           reciprocals of the iterate
    L         factor.L            (X, T T)         Cholesky factor of H's block of each x, inverse on its diagonal
    G         factor.G            (rows of tiles)  the rows of the factor that belong to β, see ``cholesky``
    Σ w s     gap                                  the duality gap, were (1) to (3) fulfilled

Newton's matrix H of the unknowns (Δα, Δβ) has the block w diag(π) + w (1/s - 1) π πᵀ at each (x, y). The α of one x
meet those of no other x, so they are eliminated one x after another, and T Y equations remain.

Three choices differ from the textbook:

    s      is an unknown of its own, for c + s = 0. With s = -c in its place the iteration stalls.
    ω      grows with the mass that (x, y) can have. With ω = 1, as is usual, a symbol of mass 1e-6 would need a slack
           of 1e6 μ, and the path to a target of low prevalence would begin far away.
    gauge  α(t,x) + δ(t) and β(t,y) - δ(t) give the same c, so H is singular in T directions. For each t the diagonal
           of its heaviest y is doubled: that Δβ becomes 0, and the solution still fulfils H (Δα, Δβ) = right-hand side.
"""

from adumbra.information.pid.interior_point.solver import solve_dual
from adumbra.information.pid.interior_point.workspace import TOLERANCE

__all__ = ["TOLERANCE", "solve_dual"]
