"""Files → tables, one file a kind. A table holds numbers and text; layouts say later what the columns mean."""

from core.data.ingest.readers.base import Progress, Table, no_progress
from core.data.ingest.readers.dispatch import bundles, read_bundle, read_table

__all__ = ["Progress", "Table", "bundles", "no_progress", "read_bundle", "read_table"]
