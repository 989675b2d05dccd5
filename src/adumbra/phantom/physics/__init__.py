"""Physics of the images: relaxation, signal equations, inflow, susceptibility, iron."""
