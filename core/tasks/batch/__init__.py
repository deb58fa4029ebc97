"""Batch task: score all series in a folder, with one model or one model per group of files."""
