"""Probability calibration and conformal intervals, fitted on held-out cases and saved with the weights."""
