"""Passwords of the tests of accounts: their hashes take no time, except where a test is about the hashes."""

from collections.abc import Iterator

import pytest

from core.accounts import passwords


@pytest.fixture
def real_hashes() -> None:
    """Hashes as the product makes them, which take 50 to 100 ms each."""


@pytest.fixture(autouse=True)
def quick_hashes(request: pytest.FixtureRequest) -> Iterator[None]:
    if "real_hashes" in request.fixturenames:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        passwords._get_dummy_hash.cache_clear()
        yield
    passwords._get_dummy_hash.cache_clear()
