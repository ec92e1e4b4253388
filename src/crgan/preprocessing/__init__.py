"""Preprocessing: fitted on training cases only, cached on disk."""
