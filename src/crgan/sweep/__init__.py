"""Sweep: a network applied to a whole prepared volume, plane by plane, in bounded memory."""
