"""Simulation of phantom cohorts as BIDS data sets."""
