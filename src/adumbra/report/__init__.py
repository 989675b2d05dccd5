"""What is written for people and for other programs: NIfTI derivatives, manifests, one HTML page per case."""
