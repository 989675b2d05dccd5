"""Arteries and veins as trees, their territories and their lumen."""
