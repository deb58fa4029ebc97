"""Detectors of anomalies: `base.py` says what one is; `tables/` holds those that look at rows, one file each."""
