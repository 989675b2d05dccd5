"""Training of the estimate of hypoperfusion on simulated strokes without images."""
