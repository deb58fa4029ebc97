"""File layouts, one a file, found by this folder. See `base.py` for what a layout says."""
