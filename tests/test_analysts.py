"""Several analysts at the same time on one server: each sees only their own datasets and results."""

from pathlib import Path

import pytest

from benchmarks.analysts import at_once, mixed_up, prepared, served

ANALYSTS = 4


@pytest.mark.server
def test_everybody_gets_their_own_answer(tmp_path: Path) -> None:
    datasets = prepared(tmp_path, ANALYSTS)
    with served(tmp_path) as address:
        visits = at_once(address, datasets, times=1)
    assert mixed_up(visits, datasets, tmp_path) == []
    assert all(len(each.pages) == 2 for each in visits)
