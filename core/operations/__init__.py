"""What operators look at: health, usage, drift, and what people said about results."""
