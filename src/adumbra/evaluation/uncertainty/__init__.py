"""Calibration, error detection, risk-coverage and retention of an uncertainty map."""
