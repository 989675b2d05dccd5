"""The compiled loops behind bins and histograms. The caller has checked the arguments.

The cells of ``AT_ONCE`` samples are computed in a loop that vectorises, and then counted into four tables in turn. With
one table the processor would wait: where most voxels are background, the same cell is read again while it is still
being written. The rows of the tables are padded so that a cell does not lie at the same place of a memory page in all
four, which would delay them again.
"""

import numpy as np

from adumbra.information.jit import compiled

AT_ONCE = 1024  # samples: their cells take 4 KiB, and stay in the first-level cache beside the tables
TABLES = 4
PADDING = 80  # cells of 4 bytes: no multiple of a page, nor of a cache line's neighbours
FEW_CELLS = 1 << 18  # larger tables fill the cache, and seldom count one cell twice in a row
MOST_SAMPLES = 1 << 31  # of one call: the tables count in 32 bits


@compiled
def _even_index(value: float, low: float, scale: float, last: float) -> np.int32:
    place = (value - low) * scale  # in float64, since low is
    place = place if place > 0.0 else 0.0
    return np.int32(place if place < last else last)


@compiled
def even_indices(row: np.ndarray, low: float, scale: float, last: float, indices: np.ndarray) -> None:
    """Fills the bin index of each value among bins of equal width; ``last`` is the index of the last bin."""
    for i in range(row.size):
        indices[i] = _even_index(row[i], low, scale, last)


@compiled
def _step(row: np.ndarray, inner: np.ndarray, half: int, first: np.ndarray) -> None:
    """One step of bisection for all values: forward where the edge before the middle is not above the value."""
    for i in range(row.size):
        place = np.uint32(first[i])
        first[i] = place + np.uint32(half) if inner[place + np.uint32(half - 1)] <= row[i] else place


@compiled
def uneven_indices(row: np.ndarray, inner: np.ndarray, indices: np.ndarray) -> None:
    """Fills the bin index of each value, the number of inner edges that are not above it, by bisection.

    All values of a block take the same number of steps, so that the loop over them vectorises.
    """
    first = np.empty(AT_ONCE, np.uint32)
    for start in range(0, row.size, AT_ONCE):
        some = row[start : start + AT_ONCE]
        first[:] = 0
        length = inner.size
        while length > 1:
            _step(some, inner, length >> 1, first)
            length -= length >> 1
        _step(some, inner, 1, first)
        for i in range(some.size):
            indices[start + i] = first[i]


@compiled
def _even_cells(a: np.ndarray, b: np.ndarray, a_even: tuple, b_even: tuple, columns: int, cells: np.ndarray) -> None:
    for i in range(a.size):
        row = _even_index(a[i], a_even[0], a_even[1], a_even[2])
        cells[i] = row * np.int32(columns) + _even_index(b[i], b_even[0], b_even[1], b_even[2])


@compiled
def _label_cells(a: np.ndarray, b: np.ndarray, columns: int, cells: np.ndarray) -> None:
    for i in range(a.size):
        cells[i] = np.uint32(a[i]) * np.uint32(columns) + np.uint32(b[i])


@compiled
def _triple_cells(t: np.ndarray, x: np.ndarray, y: np.ndarray, rows: int, columns: int, cells: np.ndarray) -> None:
    for i in range(t.size):
        row = np.uint32(t[i]) * np.uint32(rows) + np.uint32(x[i])
        cells[i] = row * np.uint32(columns) + np.uint32(y[i])


@compiled
def _tally(cells: np.ndarray, tables: np.ndarray) -> None:
    """Counts cells into the tables in turn, or all into a single one."""
    one, two, three = (1, 2, 3) if tables.shape[0] > 1 else (0, 0, 0)
    whole = cells.size // 4 * 4
    for i in range(0, whole, 4):
        tables[0, cells[i]] += 1
        tables[one, cells[i + 1]] += 1
        tables[two, cells[i + 2]] += 1
        tables[three, cells[i + 3]] += 1
    for i in range(whole, cells.size):
        tables[0, cells[i]] += 1


@compiled
def _tables(cells: int) -> np.ndarray:
    return np.zeros((TABLES if cells <= FEW_CELLS else 1, cells + PADDING), np.uint32)


@compiled
def even_counts(a: np.ndarray, b: np.ndarray, a_even: tuple, b_even: tuple, rows: int, columns: int) -> np.ndarray:
    """Tables (4 or 1, cells and padding) of pairs of values; ``a_even`` is (low, scale, index of the last bin)."""
    tables, cells = _tables(rows * columns), np.empty(AT_ONCE, np.uint32)
    for start in range(0, a.size, AT_ONCE):
        some = a[start : start + AT_ONCE]
        _even_cells(some, b[start : start + AT_ONCE], a_even, b_even, columns, cells)
        _tally(cells[: some.size], tables)
    return tables


@compiled
def label_counts(a: np.ndarray, b: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Tables (4 or 1, cells and padding) of pairs of indices."""
    tables, cells = _tables(rows * columns), np.empty(AT_ONCE, np.uint32)
    for start in range(0, a.size, AT_ONCE):
        some = a[start : start + AT_ONCE]
        _label_cells(some, b[start : start + AT_ONCE], columns, cells)
        _tally(cells[: some.size], tables)
    return tables


@compiled
def triple_counts(t: np.ndarray, x: np.ndarray, y: np.ndarray, slabs: int, rows: int, columns: int) -> np.ndarray:
    """Tables (4 or 1, cells and padding) of triples of indices."""
    tables, cells = _tables(slabs * rows * columns), np.empty(AT_ONCE, np.uint32)
    for start in range(0, t.size, AT_ONCE):
        some = slice(start, start + AT_ONCE)
        _triple_cells(t[some], x[some], y[some], rows, columns, cells)
        _tally(cells[: t[some].size], tables)
    return tables
