"""CPU seconds and memory of a simulated phantom, beside the resampling of the template maps that every case needs.

Run: ``python benchmarks/phantom_speed.py [cases at 2 mm] [cases at 1 mm]``. The claims: at least one case per second
and core at 2 mm (``diffusion``); at 1 mm with all seven sequences (``monocentric``) at most 20 s on one core and 2 GB,
and two workers simulate 1.9 times as many cases as one. The peer is SciPy's interpolation of the tissue maps alone, in
the same run: the ratio is the cost of vessels, lesion, signals and scanner.
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

from adumbra.phantom.anatomy.head import sample_head
from adumbra.phantom.anatomy.template import interpolate, template
from adumbra.phantom.generate import generate


def cpu_seconds_per_call(call, count: int) -> float:
    """Mean CPU seconds of ``call(number)`` over numbers from 0."""
    start = time.process_time()
    for number in range(count):
        call(number)
    return (time.process_time() - start) / count


def bare_seconds(spacing_mm: float, count: int) -> float:
    """CPU seconds of the three maps' interpolation."""
    maps = template()
    subject, _ = sample_head(np.random.default_rng(0), spacing_mm=spacing_mm)
    return cpu_seconds_per_call(
        lambda _: [interpolate(v, maps.affine, subject.mni_mm) for v in (maps.grey, maps.white, maps.t1)], count
    )


def simulated_peak_kb(preset_name: str, seed: int) -> int:
    """Simulates a case and returns the peak memory of the process in kB."""
    generate(seed, preset_name=preset_name)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def wall_seconds(workers: int, count: int) -> tuple[float, int]:
    """Wall seconds of ``count`` cases at 1 mm, without the start of the workers, and the largest peak memory in kB."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(simulated_peak_kb, "diffusion"), range(2 * workers)))  # imports, and the template
        start = time.perf_counter()
        peaks = list(pool.map(partial(simulated_peak_kb, "monocentric"), range(count)))
        return time.perf_counter() - start, max(peaks)


def main() -> None:
    """Prints the table."""
    coarse, fine = (int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 20), (2, 4)))
    template()
    for name, spacing, count in (("diffusion", 2.0, coarse), ("monocentric", 1.0, fine)):
        whole, bare = cpu_seconds_per_call(partial(simulated_peak_kb, name), count), bare_seconds(spacing, 3)
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
