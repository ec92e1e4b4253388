"""Sequences: slices of one patient and plane."""
