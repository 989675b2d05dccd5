"""Uncertainty maps from posterior draws, regional uncertainty, and calibration."""
