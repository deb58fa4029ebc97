"""Results on screen, one module for each kind; `run` holds what they share."""
