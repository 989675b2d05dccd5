"""Anatomy of the head: template, random deformation, tissue fractions, deep nuclei."""
