"""Batch scoring: many series below a folder, scored with one model or one model per group."""
