"""Cohorts of phantoms: seeds in, a BIDS data set out."""
