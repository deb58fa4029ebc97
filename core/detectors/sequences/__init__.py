"""Detectors that look at series of many columns; a file in this folder is one, there is no list to edit."""
