"""Runs on record: the only place that knows MLflow and CodeCarbon. Knows neither core nor pages."""
