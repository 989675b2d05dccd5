"""How a network is applied to a whole case: sliding windows, devices, and what a network must be able to do."""
