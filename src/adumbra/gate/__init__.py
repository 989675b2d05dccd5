"""The gate: the checks that stand in front of every reader, as one verdict for each file, without reading a case."""
