"""CPU seconds and memory of a drawn phantom, beside the bare resampling of the template maps that every case needs.

Run: ``python benchmarks/phantom_speed.py [cases at 2 mm] [cases at 1 mm]``. The claims: at least one case per second
and core at 2 mm (``diffusion``); at 1 mm with all seven sequences (``monocentric``) at most 20 s on one core and 2 GB,
and two workers make 1.9 times as many cases as one. The peer is SciPy's interpolation of the tissue maps alone, in the
same run: the ratio says what vessels, lesion, signals and scanner add.
"""

import os
import resource
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np

from adumbra.phantom.anatomy.head import head
from adumbra.phantom.anatomy.template import sampled, template
from adumbra.phantom.generate import generate


def cpu_seconds_per_call(call, count: int) -> float:
    """Mean CPU seconds of ``call(number)`` over numbers from 0."""
    begun = time.process_time()
    for number in range(count):
        call(number)
    return (time.process_time() - begun) / count


def bare_seconds(spacing_mm: float, count: int) -> float:
    """CPU seconds of the three maps' interpolation."""
    maps = template()
    subject, _ = head(np.random.default_rng(0), spacing_mm=spacing_mm)
    return cpu_seconds_per_call(
        lambda _: [sampled(v, maps.affine, subject.mni_mm) for v in (maps.grey, maps.white, maps.t1)], count
    )


def drawn(preset_name: str, seed: int) -> int:
    """Draws a case and forgets it; returns the process's peak memory in kB."""
    generate(seed, preset_name=preset_name)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def wall_seconds(workers: int, count: int) -> tuple[float, int]:
    """Wall seconds of ``count`` cases at 1 mm, without the start of the workers, and the largest peak memory in kB."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(drawn, "diffusion"), range(2 * workers)))  # imports, and the template
        begun = time.perf_counter()
        peaks = list(pool.map(partial(drawn, "monocentric"), range(count)))
        return time.perf_counter() - begun, max(peaks)


def main() -> None:
    """Prints the table."""
    coarse, fine = (int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 20), (2, 4)))
    template()
    for name, spacing, count in (("diffusion", 2.0, coarse), ("monocentric", 1.0, fine)):
        whole, bare = cpu_seconds_per_call(partial(drawn, name), count), bare_seconds(spacing, 3)
        print(f"{name:12} {spacing:g} mm  {whole:6.2f} CPU-s a case, {1 / whole:.2f} cases per second and core", end="")
        print(f" ({count} cases); three maps resampled {bare:.2f} CPU-s, ratio {whole / bare:.1f}", flush=True)
    one, peak = wall_seconds(1, fine)
    two, _ = wall_seconds(2, fine)
    print(f"peak memory at 1 mm  {peak / 1e6:.2f} GB")
    print(
        f"two workers          {one / two:.2f} times as many cases as one ({fine} cases, {one:.0f} s and {two:.0f} s)"
    )


if __name__ == "__main__":
    main()
