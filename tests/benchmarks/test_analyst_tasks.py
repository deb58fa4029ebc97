"""Several analysts at the same time on one server: each sees only their own datasets and results."""

from pathlib import Path

import pytest

from benchmarks.analyst_tasks import find_mixed_results, store_datasets, visit_at_once
from tests.conftest import find_free_port, kill_process_tree
from tests.support.app_server import start_app

ANALYSTS = 4
AGENT_OPTIONS = ("--server.enableAgentApi=true", "--server.agentWaitTimeout=1", "--server.fileWatcherType=none")
"""The agent API of Streamlit answers before a slow page is finished, so some pages have to be asked for again."""


@pytest.mark.server
def test_concurrent_analysts_get_their_own_results(tmp_path: Path) -> None:
    datasets, port = store_datasets(tmp_path, ANALYSTS), find_free_port()
    process = start_app(tmp_path, port, *AGENT_OPTIONS, VIGIE_REQUIRE_SIGN_IN="false")
    try:
        visits = visit_at_once(f"http://127.0.0.1:{port}", datasets, times=1)
    finally:
        kill_process_tree(process)
    assert find_mixed_results(visits, datasets, tmp_path) == []
    assert all(len(visit.pages) == 2 for visit in visits)
