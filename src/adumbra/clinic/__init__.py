"""Findings for the reader: volumes with intervals, uncertain regions, mismatch, and rules of trials and guidelines."""
