"""The import of call records from a search server as a run: the counts of files, and no credentials in the run."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pydantic import SecretStr

from core.actor import Actor
from core.data.call_records.simulator import CallSimulator
from core.errors import OptionError, ServiceUnavailableError
from core.settings import Settings
from core.tasks.call_records.import_run import import_records
from core.tasks.call_records.import_spec import ImportSpec
from core.workspace import Workspace
from tests.support.search_proxy import SearchProxy, refuse, run_search_proxy
from tests.support.servers import make_opensearch_server

pytestmark = pytest.mark.server

INDEX = "hookah-cdrs-t1t7_t001"
COLUMNS = ["@timestamp", "Call_Start_Time", "Call_End_Time", "ORIG_T1T7", "null_duration", "rc_group"]


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[SearchProxy]:
    server = make_opensearch_server(tmp_path / "opensearch").start()
    with run_search_proxy(server.url) as search_proxy:
        yield search_proxy
    server.kill()


@pytest.fixture
def secured_workspace(workspace: Workspace, proxy: SearchProxy) -> Workspace:
    """Workspace whose settings name the server and a password."""
    settings = Settings.model_construct(
        vigie_data_dir=workspace.settings.vigie_data_dir,
        call_records_endpoint=proxy.url,
        call_records_username="vigie-reader",
        call_records_password=SecretStr("hunter2-do-not-show"),
    )
    return replace(workspace, settings=settings)


def store_calls(proxy: SearchProxy, path: Path) -> None:
    """Store simulated calls in an index whose mapping the server makes itself, and in a file."""
    from elasticsearch import Elasticsearch

    simulator = CallSimulator(trunks=2, days=1, calls_per_hour=30, seed=3)
    simulator.write_parquet(path)
    records = pd.concat(simulator.iter_records())[COLUMNS]
    lines = records.to_json(orient="records", date_format="iso", lines=True).splitlines()
    with Elasticsearch(proxy.url) as client:
        operations = [entry for line in lines for entry in ({"create": {}}, json.loads(line))]
        assert not client.bulk(index=INDEX, operations=operations, refresh=True)["errors"]


def test_import_from_search_server_equals_import_of_file(
    secured_workspace: Workspace, proxy: SearchProxy, tmp_path: Path
) -> None:
    store_calls(proxy, tmp_path / "calls.parquet")
    from_server, _ = import_records(
        ImportSpec(elasticsearch=proxy.url, by="trunk"), workspace=secured_workspace, actor=Actor("ada")
    )
    from_file, _ = import_records(
        ImportSpec(records=(str(tmp_path / "calls.parquet"),), by="trunk"),
        workspace=secured_workspace,
        actor=Actor("ada"),
    )
    assert_frame_equal(from_server.to_frame(), from_file.to_frame())
    assert (from_server.records, from_server.outside, from_server.rejected) == (from_file.records, 0, {})
    assert_holds_no_secret(secured_workspace)


def test_import_from_other_server_sends_no_credentials(
    secured_workspace: Workspace, proxy: SearchProxy, tmp_path: Path
) -> None:
    store_calls(proxy, tmp_path / "calls.parquet")
    proxy.requests.clear()
    other = proxy.url.replace("127.0.0.1", "localhost")
    import_records(ImportSpec(elasticsearch=other), workspace=secured_workspace, actor=Actor("ada"))
    assert not any(request.authorization for request in proxy.requests)
    import_records(ImportSpec(elasticsearch=proxy.url), workspace=secured_workspace, actor=Actor("ada"))
    assert any(request.authorization for request in proxy.requests)


def test_failed_import_stores_no_credentials(secured_workspace: Workspace, proxy: SearchProxy, tmp_path: Path) -> None:
    store_calls(proxy, tmp_path / "calls.parquet")
    proxy.faults = [refuse(403, reason="vigie-reader hunter2-do-not-show")]
    with pytest.raises(ServiceUnavailableError, match="denies access"):
        import_records(ImportSpec(elasticsearch=proxy.url), workspace=secured_workspace, actor=Actor("ada"))
    address = proxy.url.replace("://", "://vigie-reader:hunter2-do-not-show@")
    with pytest.raises(OptionError, match="without user and password"):
        import_records(ImportSpec(elasticsearch=address), workspace=secured_workspace, actor=Actor("ada"))
    with pytest.raises(OptionError, match="index = "):
        import_records(ImportSpec(elasticsearch=proxy.url, index="*"), workspace=secured_workspace, actor=Actor("ada"))
    assert_holds_no_secret(secured_workspace)


def assert_holds_no_secret(workspace: Workspace) -> None:
    """Assert that no file of the data folder holds the credentials."""
    files = [path for path in workspace.folder.rglob("*") if path.is_file() and "opensearch" not in path.parts]
    assert files
    assert not [path for path in files if b"hunter2" in path.read_bytes() or b"vigie-reader" in path.read_bytes()]
