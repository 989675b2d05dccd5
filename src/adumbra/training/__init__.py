"""From cases with outlined targets to the weights of a network."""
