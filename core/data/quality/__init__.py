"""Data quality: checks, the findings they report, and the repairs that fix them."""
