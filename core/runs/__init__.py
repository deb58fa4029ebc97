"""Runs: recorded, loaded, compared, described on a card, promoted."""
