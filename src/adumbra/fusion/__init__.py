"""Uncertainty-guided fusion: guidance maps, and two-pass inference that uses them."""
