"""Results as numbers, tables and references of a paper."""
