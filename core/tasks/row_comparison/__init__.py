"""Comparison of detectors of rows, by labels or by planted faults."""
