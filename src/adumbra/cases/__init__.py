"""Opens cases: files of any layout in, a ``Case`` in RAS+, millimetres and 10⁻³ mm²/s out. Start at ``catalogue``."""
