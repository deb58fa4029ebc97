"""Forecasters of quantiles of any regular series: the contract, one algorithm a file, and the calibrated model."""
