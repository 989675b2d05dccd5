"""Refinement: windows in which a first pass is uncertain are predicted again by other networks, on a finer grid."""
