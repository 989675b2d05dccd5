"""Vasculature: arterial and venous trees, arterial territories, vessel fractions of voxels."""
