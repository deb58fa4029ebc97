"""Anomaly detectors: the contracts, row detectors, sequence detectors, baselines and whole models."""
