"""Task intervals: calibrated intervals around forecasts, the points outside them, and the events they form."""
