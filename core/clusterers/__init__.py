"""Clusterers: the contract, one algorithm per file, and the whole model."""
