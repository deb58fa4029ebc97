"""Features of the forecasters that learn weights: calendar, weather, lags, levels."""
