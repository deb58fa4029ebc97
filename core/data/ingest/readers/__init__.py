"""Readers of files into raw tables, one module per file type. Layouts assign the roles of the columns later."""

from core.data.ingest.readers.base import ProgressCallback, RawTable, ignore_progress
from core.data.ingest.readers.dispatch import group_files, read_group, read_table

__all__ = ["ProgressCallback", "RawTable", "group_files", "ignore_progress", "read_group", "read_table"]
