"""The phantom: an acute stroke drawn from one seed. Stations: anatomy, lesion, signal, scanner, generate.

The phantom is not a patient. A figure measured on it says what a method does on the phantom, and nothing about a
clinic.
"""
