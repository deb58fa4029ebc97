"""Sources of watches: one module a kind reads what is new since a cursor; see docs/how-to/add-a-source.md."""

from core.storage.sources.base import Arrivals
from core.storage.sources.reading import check_source, describe_source, read_all, read_arrivals

__all__ = ["Arrivals", "check_source", "describe_source", "read_all", "read_arrivals"]
