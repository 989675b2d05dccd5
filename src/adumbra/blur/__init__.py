"""Focused blur: a Gaussian filter whose width varies from voxel to voxel, in NumPy and torch."""
