"""Studies: systems side by side, on the same patients and for the same time."""
