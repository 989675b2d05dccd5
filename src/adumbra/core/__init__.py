"""What every stage shares: cases, results, targets, types, errors, geometry, provenance. Imports no other part."""
