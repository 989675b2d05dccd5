"""Geometry: grids, filters, components. Knows nothing of modalities, cases or files."""
