"""Readers of files into raw tables, one module per file type. Layouts assign the roles of the columns later."""

from core.data.ingest.readers.base import Progress, Table, no_progress
from core.data.ingest.readers.dispatch import bundles, read_bundle, read_table

__all__ = ["Progress", "Table", "bundles", "no_progress", "read_bundle", "read_table"]
