"""Runs: recording, loading, comparison, run cards and promotion of models."""
