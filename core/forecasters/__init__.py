"""Forecasters: one algorithm, one file."""
