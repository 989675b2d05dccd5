"""Cholesky factorisation of Newton's matrix, and the solution with its factor.

H has the blocks A of α, which is block-diagonal over x, B that couples β to α, and C of β. Its factor is

    [ L  0 ]        with  L Lᵀ = A,   M = B L⁻ᵀ,   S Sᵀ = C - M Mᵀ
    [ M  S ]

``Factor.L`` holds L of each x. ``Factor.G`` holds the rows [M S] in the order in which tiles of ``SIDE`` by ``SIDE``
are read: four rows at a time, and of these one column after another. The element of row j and column k stands at
(j // SIDE depth + k) SIDE + j % SIDE, where ``depth`` is the number of columns. Diagonals are stored inverse. A pivot
that is not above 0 belongs to a symbol without mass: its inverse is set to 0, so that its unknown stays unchanged.
"""

import numpy as np

from adumbra.information.jit import compiled, inlined
from adumbra.information.pid.interior_point.workspace import SIDE, Factor
from adumbra.information.simd import fmuladd, load, load4, sqrt, store, store4, where_positive


@inlined
def factorise(G: np.ndarray, blocks: int, K: int) -> None:
    """G, with M and the lower triangle of C in place, becomes [M S].

    Args:
        G: The rows of β.
        blocks: Their number, divided by ``SIDE``.
        K: X T, the columns of M.
    """
    depth = K + blocks * SIDE
    for b in range(blocks):
        for i in range(b, blocks):
            _subtract_products(G, i * depth * SIDE, b * depth * SIDE, K + b * SIDE)
        _factorise_column(G, b, blocks, depth, K + b * SIDE)


@compiled
def eliminate(L: np.ndarray, g: np.ndarray) -> None:
    """L (T T), the block of one x, becomes its Cholesky factor, and g (T, T Y) becomes L⁻¹ g."""
    T, N = g.shape[:2]
    for t in range(T):
        row = g[t]
        for u in range(t):
            h, above = load(L, t * T + u), g[u]
            for k in range(u):
                h = h - load(L, t * T + k) * load(L, u * T + k)
            h = h * load(L, u * T + u)
            store(L, t * T + u, h)
            for j in range(N):
                store(row, j, fmuladd(h, -load(above, j), load(row, j)))
        h = load(L, t * T + t)
        for k in range(t):
            h = h - load(L, t * T + k) * load(L, t * T + k)
        scale = where_positive(h, 1.0 / sqrt(h), 0.0)
        store(L, t * T + t, scale)
        for j in range(N):
            store(row, j, load(row, j) * scale)


@compiled
def _subtract_products(G: np.ndarray, i: int, j: int, stop: int) -> None:
    """Subtracts from a tile the products of its four rows with the four rows of its columns.

    Args:
        G: The rows of β.
        i: Where the four rows of the tile begin.
        j: Where the four rows begin that belong to its columns.
        stop: The tile's first column; products are taken over the columns before it.
    """
    if G.ndim == 1:
        c0 = c1 = c2 = c3 = load4(G, i) * 0.0
        for k in range(0, stop * SIDE, SIDE):
            a = load4(G, i + k)
            c0, c1 = fmuladd(a, load(G, j + k), c0), fmuladd(a, load(G, j + k + 1), c1)
            c2, c3 = fmuladd(a, load(G, j + k + 2), c2), fmuladd(a, load(G, j + k + 3), c3)
        k = i + stop * SIDE
        store4(G, k, load4(G, k) - c0)
        store4(G, k + 4, load4(G, k + 4) - c1)
        store4(G, k + 8, load4(G, k + 8) - c2)
        store4(G, k + 12, load4(G, k + 12) - c3)
        return
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = load(G, i) * 0.0
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = s00
    for k in range(0, stop * SIDE, SIDE):  # sixteen names and no array, so that the sums stay in registers
        a0, a1, a2, a3 = load(G, i + k), load(G, i + k + 1), load(G, i + k + 2), load(G, i + k + 3)
        b0, b1, b2, b3 = load(G, j + k), load(G, j + k + 1), load(G, j + k + 2), load(G, j + k + 3)
        s00, s10 = fmuladd(a0, b0, s00), fmuladd(a1, b0, s10)
        s20, s30 = fmuladd(a2, b0, s20), fmuladd(a3, b0, s30)
        s01, s11 = fmuladd(a0, b1, s01), fmuladd(a1, b1, s11)
        s21, s31 = fmuladd(a2, b1, s21), fmuladd(a3, b1, s31)
        s02, s12 = fmuladd(a0, b2, s02), fmuladd(a1, b2, s12)
        s22, s32 = fmuladd(a2, b2, s22), fmuladd(a3, b2, s32)
        s03, s13 = fmuladd(a0, b3, s03), fmuladd(a1, b3, s13)
        s23, s33 = fmuladd(a2, b3, s23), fmuladd(a3, b3, s33)
    columns = ((s00, s10, s20, s30), (s01, s11, s21, s31), (s02, s12, s22, s32), (s03, s13, s23, s33))
    for c in range(SIDE):
        for r in range(SIDE):
            k = i + (stop + c) * SIDE + r
            store(G, k, load(G, k) - columns[c][r])


@compiled
def _factorise_column(G: np.ndarray, b: int, blocks: int, depth: int, stop: int) -> None:
    """Factorises the tile of block b on the diagonal, and divides the tiles below it by its factor.

    Args:
        G: The rows of β.
        b: The number of the block of four rows.
        blocks: Number of blocks.
        depth: Number of columns.
        stop: First column of the tile.
    """
    d = (b * depth + stop) * SIDE  # of the tile on the diagonal
    for c in range(SIDE):
        h = load(G, d + c * SIDE + c)
        for e in range(c):
            h = h - load(G, d + e * SIDE + c) * load(G, d + e * SIDE + c)
        scale = where_positive(h, 1.0 / sqrt(h), 0.0)
        store(G, d + c * SIDE + c, scale)
        for r in range(c + 1, SIDE):
            h = load(G, d + c * SIDE + r)
            for e in range(c):
                h = h - load(G, d + e * SIDE + r) * load(G, d + e * SIDE + c)
            store(G, d + c * SIDE + r, h * scale)
    f0, f1, f2, f3 = load(G, d), load(G, d + 5), load(G, d + 10), load(G, d + 15)
    f01, f02, f03, f12, f13, f23 = (
        load(G, d + 1),
        load(G, d + 2),
        load(G, d + 3),
        load(G, d + 6),
        load(G, d + 7),
        load(G, d + 11),
    )
    for i in range(b + 1, blocks):
        k = (i * depth + stop) * SIDE
        for r in range(k, k + SIDE):
            h0 = load(G, r) * f0
            h1 = fmuladd(h0, -f01, load(G, r + 4)) * f1
            h2 = fmuladd(h1, -f12, fmuladd(h0, -f02, load(G, r + 8))) * f2
            h3 = fmuladd(h2, -f23, fmuladd(h1, -f13, fmuladd(h0, -f03, load(G, r + 12)))) * f3
            store(G, r, h0)
            store(G, r + 4, h1)
            store(G, r + 8, h2)
            store(G, r + 12, h3)


@compiled
def solve(factor: Factor, z: np.ndarray, T: int) -> None:
    """The right-hand side z, of α and then of β, becomes the solution.

    Args:
        factor: The factor of H.
        z: (X T + rows).
        T: Number of symbols of the target.
    """
    K = factor.L.shape[0] * T
    _forward_alpha(factor.L, z, T)
    _forward_beta(factor.G, z, K)
    _backward_beta(factor.G, z, K)
    _backward_alpha(factor.L, z, T)


@inlined
def _forward_alpha(L: np.ndarray, z: np.ndarray, T: int) -> None:
    for x in range(L.shape[0]):
        Lx, a = L[x], z[x * T :]
        for t in range(T):
            h = load(a, t)
            for u in range(t):
                h = h - load(Lx, t * T + u) * load(a, u)
            store(a, t, h * load(Lx, t * T + t))


@inlined
def _forward_beta(G: np.ndarray, z: np.ndarray, K: int) -> None:
    depth = z.shape[0]
    for stop in range(K, depth, SIDE):
        i = (stop - K) * depth
        h0, h1, h2, h3 = load(z, stop), load(z, stop + 1), load(z, stop + 2), load(z, stop + 3)
        for k in range(stop):
            h, r = -load(z, k), i + k * SIDE
            h0, h1 = fmuladd(load(G, r), h, h0), fmuladd(load(G, r + 1), h, h1)
            h2, h3 = fmuladd(load(G, r + 2), h, h2), fmuladd(load(G, r + 3), h, h3)
        d = i + stop * SIDE
        h0 = h0 * load(G, d)
        h1 = (h1 - load(G, d + 1) * h0) * load(G, d + 5)
        h2 = (h2 - load(G, d + 2) * h0 - load(G, d + 6) * h1) * load(G, d + 10)
        h3 = (h3 - load(G, d + 3) * h0 - load(G, d + 7) * h1 - load(G, d + 11) * h2) * load(G, d + 15)
        store(z, stop, h0)
        store(z, stop + 1, h1)
        store(z, stop + 2, h2)
        store(z, stop + 3, h3)


@inlined
def _backward_beta(G: np.ndarray, z: np.ndarray, K: int) -> None:
    depth = z.shape[0]
    for stop in range(depth - SIDE, K - 1, -SIDE):
        i = (stop - K) * depth
        d = i + stop * SIDE
        h3 = load(z, stop + 3) * load(G, d + 15)
        h2 = (load(z, stop + 2) - load(G, d + 11) * h3) * load(G, d + 10)
        h1 = (load(z, stop + 1) - load(G, d + 7) * h3 - load(G, d + 6) * h2) * load(G, d + 5)
        h0 = (load(z, stop) - load(G, d + 3) * h3 - load(G, d + 2) * h2 - load(G, d + 1) * h1) * load(G, d)
        store(z, stop, h0)
        store(z, stop + 1, h1)
        store(z, stop + 2, h2)
        store(z, stop + 3, h3)
        h0, h1, h2, h3 = -h0, -h1, -h2, -h3
        for k in range(stop):
            r = i + k * SIDE
            h = fmuladd(load(G, r), h0, load(z, k))
            h = fmuladd(load(G, r + 1), h1, h)
            h = fmuladd(load(G, r + 2), h2, h)
            store(z, k, fmuladd(load(G, r + 3), h3, h))


@inlined
def _backward_alpha(L: np.ndarray, z: np.ndarray, T: int) -> None:
    for x in range(L.shape[0]):
        Lx, a = L[x], z[x * T :]
        for t in range(T - 1, -1, -1):
            h = load(a, t)
            for u in range(t + 1, T):
                h = h - load(Lx, u * T + t) * load(a, u)
            store(a, t, h * load(Lx, t * T + t))
