"""Candidates of a clot: extracted from a first pass, looked at again on a finer grid, and put into the draws."""
