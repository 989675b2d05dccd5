"""Opens cases: files of any layout in, a ``Case`` in RAS+, mm, 10⁻³ mm²/s and radians out. Start at ``registry``."""
