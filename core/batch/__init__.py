"""Batch scoring of all series in a folder, resumed where it stopped."""
