"""Phantom patients: brains, livers and cells that a program draws, with their labels, for trials and tests without real data."""

from crgan.cases.phantom.brain import LABELS, MODALITIES, draw_brain, write_brains
from crgan.cases.phantom.cells import draw_movie, write_cells
from crgan.cases.phantom.liver import draw_liver, write_livers
from crgan.cases.phantom.sample import Phantom

__all__ = ["LABELS", "MODALITIES", "Phantom", "draw_brain", "draw_liver", "draw_movie", "write_brains", "write_cells", "write_livers"]
