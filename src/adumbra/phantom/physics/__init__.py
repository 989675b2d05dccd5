"""One equation per contrast: relaxation, signal, inflow, susceptibility."""
