"""Times of the day: the usual profile, and the shape that weather and calendar give it."""
