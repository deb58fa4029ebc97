"""The command line: one file per command; `core/__main__.py` assembles them."""
