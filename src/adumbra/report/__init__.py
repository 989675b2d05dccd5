"""Files for people and for other programs: NIfTI derivatives, manifests, and HTML pages."""
