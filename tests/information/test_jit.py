"""Compiled code on disk is stale once any file that takes part in compilation has changed."""

from pathlib import Path

import numpy as np

from adumbra.information import jit
from adumbra.information.pid.interior_point import solver


def test_every_compiled_function_has_the_digest_of_all_sources():
    for function in (solver._solve_batch, solver.start, solver.solve_newton):
        assert function._cache._cache_file._source_stamp == jit._source_digest()


def test_the_digest_covers_kernels_in_other_files(tmp_path: Path, monkeypatch):
    """Two files take part, one does not; a change of the former only changes the digest."""
    for name, text in (("jit.py", "import numba"), ("kernel.py", "from jit import compiled"), ("prose.py", "x = 1")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    digest = jit._source_digest.__wrapped__
    first = digest()
    (tmp_path / "prose.py").write_text("x = 2")
    assert digest() == first
    (tmp_path / "kernel.py").write_text("from jit import compiled  # changed")
    assert digest() != first


def test_an_inlined_part_is_the_function_itself():
    part = jit.inlined(lambda a: a + 1.0)
    whole = jit.compiled_loosely(lambda a: part(a) * 2.0)
    assert whole(np.float64(2.0)) == 6.0
