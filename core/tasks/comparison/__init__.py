"""Comparison task: metrics of the fast detectors on one series."""
