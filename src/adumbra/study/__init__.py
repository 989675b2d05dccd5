"""Arms, folds and seeds of a comparison, and the tables they give."""
