"""Overlap, lesion-wise and volume measures of a mask."""
