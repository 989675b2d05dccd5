"""From scans as they came to channels on one grid: registration, resampling, brain mask, units."""
