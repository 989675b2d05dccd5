"""How good a mask is, against one that an expert outlined."""
