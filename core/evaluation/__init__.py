"""Thresholds on scores, and measures of detections, clusterings, forecasts and drift."""
