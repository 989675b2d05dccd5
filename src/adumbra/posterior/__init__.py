"""Samples of a network's predictive distribution: one full probability volume at a time."""
