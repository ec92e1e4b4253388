"""Inference: volumes in, volumes out, in bounded memory."""
