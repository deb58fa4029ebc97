"""Several analysts at the same time on one server: each sees only their own datasets and results."""

from pathlib import Path

import pytest

from benchmarks.analyst_tasks import find_mixed_results, run_server, store_datasets, visit_at_once

ANALYSTS = 4


@pytest.mark.server
def test_concurrent_analysts_get_their_own_results(tmp_path: Path) -> None:
    datasets = store_datasets(tmp_path, ANALYSTS)
    with run_server(tmp_path, wait_s=1) as address:  # the first pages take longer, so some answers have to wait again
        visits = visit_at_once(address, datasets, times=1)
    assert find_mixed_results(visits, datasets, tmp_path) == []
    assert all(len(visit.pages) == 2 for visit in visits)
