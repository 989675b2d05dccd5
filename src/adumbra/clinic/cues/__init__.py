"""Cues of hypoperfusion without contrast, each computed on its own: veins, distal flow, FLAIR vessels, downstream."""
