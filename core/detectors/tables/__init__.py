"""Detectors that look at rows."""
