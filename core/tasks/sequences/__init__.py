"""Sequences task: abnormal rows and events in series, with a target false-alarm rate."""
