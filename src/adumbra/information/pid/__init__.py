"""Partial information decomposition (PID) of two and three sources.

``broja`` and ``williams_beer`` are the measures, ``lattice`` is the redundancy lattice, and ``examples`` holds textbook
distributions whose decomposition is known.
"""
