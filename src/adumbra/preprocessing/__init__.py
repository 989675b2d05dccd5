"""From scans on their own grids to channels on one grid: registration, resampling, brain mask, network units."""
