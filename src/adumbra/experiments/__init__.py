"""Studies: what is compared, on which cases, and the tables that result."""
