"""CPU seconds per drawn phantom case, beside the bare resampling of the three template maps that every case needs.

Run: ``python benchmarks/phantom_speed.py [cases]``. The claim: at least one case per second and core at 2 mm. The peer
is SciPy's interpolation of the tissue maps alone, in the same run: the ratio says what lesion, signals and scanner add.
"""

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from adumbra.phantom.anatomy import head, sampled, template
from adumbra.phantom.generate import generate


def cpu_seconds_per_call(call, count: int) -> float:
    """Mean CPU seconds of ``call(number)`` over numbers from 0."""
    begun = time.process_time()
    for number in range(count):
        call(number)
    return (time.process_time() - begun) / count


def main() -> None:
    """Prints the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    maps = template()
    subject, _ = head(np.random.default_rng(0))
    whole = cpu_seconds_per_call(generate, count)
    bare = cpu_seconds_per_call(
        lambda _: [sampled(v, maps.affine, subject.mni_mm) for v in (maps.grey, maps.white, maps.t1)], count
    )
    print(f"a case                    {whole:.2f} CPU-s, {1 / whole:.2f} cases per second and core ({count} cases)")
    print(f"its three maps resampled  {bare:.2f} CPU-s, ratio {whole / bare:.1f}")


if __name__ == "__main__":
    main()
