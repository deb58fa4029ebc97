"""Fixtures of the tests that use a database."""

from collections.abc import Iterator

import pytest

from tests.support.databases import create_database, start_postgres
from tests.support.servers import ServerProcess


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[ServerProcess]:
    """A real PostgreSQL server."""
    with start_postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty PostgreSQL database; "" for the SQLite file of the data folder."""
    if request.param == "sqlite":
        yield ""
        return
    with create_database(request.getfixturevalue("postgres_server")) as url:
        yield url
