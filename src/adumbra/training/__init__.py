"""Training: from annotated cases to the weights of a network and their model card."""
