"""Stores of watches on SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.storage.watches.stores import WatchStores
from tests.support.watch_stores import START, build_recipient, build_watch, open_watch_stores


@pytest.fixture
def stores(database_url: str, tmp_path: Path) -> Iterator[WatchStores]:
    """Empty stores."""
    with open_watch_stores(tmp_path / "watches", database_url) as opened:
        yield opened


@pytest.fixture
def watched(stores: WatchStores) -> WatchStores:
    """Stores with the recipient `ops` and the watch `calls`, which is due."""
    stores.recipients.save_recipient(build_recipient())
    stores.watches.add_watch(build_watch(recipients=("ops",)), START)
    return stores
