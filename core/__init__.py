"""What Vigie knows: data, detectors, results, runs. Nothing here knows a screen."""

__version__ = "0.1.0"
