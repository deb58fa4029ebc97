"""Comparison: which of the quick detectors sees most on the data at hand."""
