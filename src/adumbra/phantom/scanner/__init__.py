"""How a scanner sees the head: slices, motion, distortion, noise, one function per sequence."""
