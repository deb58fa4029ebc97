"""Task forecast: forecasts with prediction intervals, their test, and the effect of covariates."""
