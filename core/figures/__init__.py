"""Results as figures, one module for each kind of result; `drawing` holds what they share."""
