"""The header that names the large scripts of charts: on pages of tasks alone, with scripts that the server has."""

import re

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.components.chart_script import SCRIPT_FOLDER, list_scripts
from pages.gate.script_preload import WIDGETS, ScriptPreload


def test_pages_of_tasks_name_scripts_of_the_server() -> None:
    app = Starlette(routes=[Route("/{path:path}", lambda request: PlainTextResponse("page"))])
    client = TestClient(ScriptPreload(app))  # type: ignore[arg-type]
    header = client.get("/anomalies?run=1").headers["Link"]
    names = re.findall(r"<\./static/js/([^>]+)>; rel=modulepreload", header)
    assert names == list_scripts(WIDGETS)
    assert all((SCRIPT_FOLDER / name).is_file() for name in names)
    assert len(header) < 2000  # proxies limit the headers of an answer
    assert not any("Link" in client.get(path).headers for path in ("/", "/account", "/static/js/anomalies"))


def test_every_named_widget_has_a_large_script() -> None:
    """A new version of Streamlit may name its scripts otherwise."""
    names = list_scripts(WIDGETS)
    assert {name.partition(".")[0] for name in names} >= {"PlotlyChart", "DataFrame", "DateInput"}
    assert len(set(names)) == len(names)
