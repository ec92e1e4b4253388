"""Report: one self-contained HTML file."""
