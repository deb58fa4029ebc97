"""Backtests: forecasts of past periods, their report, what they calibrate and what would leak into them."""
