"""The choice of the forecaster of a series: candidates, their errors, weights of a blend."""
