"""Clusterers: which rows are alike."""
