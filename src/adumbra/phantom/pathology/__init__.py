"""What goes wrong: clot, perfusion, infarct, older damage."""
