"""The tasks of the product, one folder each."""
