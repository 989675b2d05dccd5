"""What sequences tell together and apart: entropy, mutual information and its decomposition. Without torch."""
