"""Forecast: what comes next, how sure that is, and what it depends on."""
