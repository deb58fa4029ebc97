"""Panels of what a forecaster sees: values, covariates, periods, cut in parts that fit memory."""
