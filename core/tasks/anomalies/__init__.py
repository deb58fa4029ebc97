"""Anomalies task: abnormal rows of a dataset, with the cells that explain them."""
