"""Partial information decomposition of two and three sources: BROJA, I_min, their lattice and examples."""
