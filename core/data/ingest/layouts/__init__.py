"""File layouts, one module each; every layout class in this folder is registered. The contract is in `base.py`."""
