"""Findings for the reader: volumes with their intervals, uncertain regions, and their side of the brain."""
