"""Measures of masks and of their uncertainty against an expert segmentation."""
