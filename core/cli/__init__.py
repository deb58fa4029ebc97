"""The command line, one file a verb; `core/__main__.py` gathers them."""
