"""The app on a data folder that it cannot use: a sentence on the page and on standard error."""

import json
from pathlib import Path

import pytest

from core.storage.data_folder import CURRENT_FORMAT, FORMAT_FILE
from tests.conftest import find_free_port, kill_process_tree
from tests.support.app_server import start_app_afresh
from tests.support.http_client import Visitor


@pytest.mark.server
def test_app_says_that_the_data_folder_is_newer(tmp_path: Path) -> None:
    format_file, port = tmp_path / FORMAT_FILE, find_free_port()
    format_file.write_text(json.dumps({"format": CURRENT_FORMAT + 1, "version": "99.0"}))
    process = start_app_afresh(tmp_path, port)
    visitor = Visitor(f"http://127.0.0.1:{port}")
    try:
        for address in ("", "data"):
            assert "was written by version 99.0 of Vigie" in visitor.open_page(address).text
        format_file.unlink()
        assert "can be used again" in visitor.open_page().text
    finally:
        kill_process_tree(process)
    log = (tmp_path / "app.log").read_text()
    assert "Traceback" not in log
    assert log.count("was written by version 99.0 of Vigie") == 1
    assert not (tmp_path / "jobs").exists(), "no worker has started"
