"""Metrics of a mask: overlap, lesion-wise detection and volume."""
