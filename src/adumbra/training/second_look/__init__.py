"""Trains the second look at the candidates of a clot."""
