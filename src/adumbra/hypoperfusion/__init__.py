"""Hypoperfusion without contrast agent: estimated from what the predictions of lesion and thrombus show."""
