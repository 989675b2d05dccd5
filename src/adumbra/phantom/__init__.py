"""The phantom: a simulated patient with acute stroke, computed from one seed.

A phantom is not a patient. A result measured on it describes a method's behaviour on the phantom and says nothing about
clinical performance.
"""
