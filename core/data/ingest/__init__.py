"""Reading of files into one dataset."""
