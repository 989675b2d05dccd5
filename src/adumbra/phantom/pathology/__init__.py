"""Disease: clots, perfusion, infarcts and older damage."""
