"""Figures and HTML from plain arrays and summaries."""
