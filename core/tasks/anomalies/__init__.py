"""Anomalies: which rows are abnormal, against what, and why."""
