"""Forecasters: the contract, one algorithm per file, features, backtest and the whole model."""
