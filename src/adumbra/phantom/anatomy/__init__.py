"""The head of a phantom: template, deep nuclei, random deformation, tissue fractions."""
