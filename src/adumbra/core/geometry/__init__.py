"""Grids, resampling, connected components and the midsagittal plane, in RAS+ millimetres."""
