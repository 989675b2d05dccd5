"""From maps to what is said of the patient: volumes with intervals, doubtful regions, sides."""
