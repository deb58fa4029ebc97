"""Header that lets a browser load the large scripts of charts and tables while the server computes the page.

Streamlit's own page loads them when the first chart arrives; only then does the browser begin to read 5 MB of script.
"""

from functools import cache

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.spec.task import list_tasks
from pages.components.chart_script import SCRIPT_ADDRESS, list_scripts
from pages.gate.endpoints import get_path

WIDGETS = ("PlotlyChart", "DataFrame", "Multiselect", "DateInput")  # those of results with large scripts


class ScriptPreload:
    """Middleware that adds the header `Link` to the pages of tasks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the header to an answer that is a page of a task."""
        if scope["type"] != "http" or get_path(scope).strip("/") not in _list_addresses():
            await self.app(scope, receive, send)
            return

        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Link"] = _build_header()
            await send(message)

        await self.app(scope, receive, send_with_header)


@cache
def _list_addresses() -> frozenset[str]:
    return frozenset(task.page for task in list_tasks() if task.has_page)


@cache
def _build_header() -> str:
    return ", ".join(
        f"<{SCRIPT_ADDRESS}{name}>; rel=modulepreload; fetchpriority=low" for name in list_scripts(WIDGETS)
    )
