"""Channels: how an announcement reaches somebody. One file a channel; `sending.py` chooses it."""
