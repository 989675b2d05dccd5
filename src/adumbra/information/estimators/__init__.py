"""Estimators of mutual information from samples: plug-in, Gaussian copula, nearest neighbours (KSG)."""
