"""Private runs on a real server: the result of a user is open to operators and to no other user."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.accounts.service import Accounts
from core.actor import Actor
from core.data.samples import load_sample
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from tests.conftest import create_workspace, find_free_port, kill_process_tree
from tests.pages.account.test_sign_in import PASSWORD
from tests.support.app_server import start_app
from tests.support.http_client import Screen, Visitor

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def query(folder: Path, empty_store: Path) -> str:
    """The address of a result of ana, made before the app starts."""
    workspace = create_workspace(folder, empty_store)
    dataset = load_sample("gas_daily")
    digest = workspace.datasets.save(dataset)
    run = detect(DetectionSpec(), dataset, workspace=workspace, actor=Actor("ana", "tests"))[1].id
    accounts = Accounts("", folder)
    for name, roles in {"ana": ["analyst"], "otto": ["analyst"], "ada": ["operator"]}.items():
        accounts.add_user(name, PASSWORD, roles)
    return f"dataset={digest}&run={run}"


@pytest.fixture(scope="module")
def visitors(folder: Path, query: str) -> Iterator[dict[str, Visitor]]:
    port = find_free_port()
    process = start_app(folder, port, VIGIE_REQUIRE_SIGN_IN="true", VIGIE_PRIVATE_RUNS="true")
    signed_in = {name: Visitor(f"http://127.0.0.1:{port}") for name in ("ana", "otto", "ada")}
    try:
        for name, visitor in signed_in.items():
            assert visitor.sign_in(name, PASSWORD).status == 303
        yield signed_in
    finally:
        kill_process_tree(process)


def shows_result(screen: Screen) -> bool:
    return "result-figures" in screen.text or "plotly_chart" in screen.kinds


def test_result_opens_for_its_user_and_operators_only(visitors: dict[str, Visitor], query: str) -> None:
    """What the first reader has put into the cache is not handed to the next one."""
    assert shows_result(visitors["ana"].open_page("anomalies", query))
    refused = visitors["otto"].open_page("anomalies", query)
    assert "was not found" in refused.text
    assert not shows_result(refused)
    assert shows_result(visitors["ada"].open_page("anomalies", query))


def test_lists_show_own_runs(visitors: dict[str, Visitor], query: str) -> None:
    run = query.partition("run=")[2]
    for name, is_listed in {"ana": True, "otto": False, "ada": True}.items():
        assert (run in visitors[name].open_page("tracking", f"runs={run}").text) is is_listed, name
    assert "Runs are private" in visitors["otto"].open_page("tracking").text
