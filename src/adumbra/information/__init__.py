"""Mutual information and partial information decomposition, in bits. Without torch."""
