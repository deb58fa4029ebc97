"""Thresholds on scores, and what detections are worth."""
