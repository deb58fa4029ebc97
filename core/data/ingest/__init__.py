"""Ingest: files to one dataset."""
