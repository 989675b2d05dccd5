"""Image acquisition: scanner setup, slices, movement, distortion, noise, one function for each sequence."""
