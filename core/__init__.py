"""Data, detectors, results and runs of Vigie. Nothing in this package depends on a user interface."""

__version__ = "0.1.0"
