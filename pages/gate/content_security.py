"""Headers that tell browsers to load nothing from other sites and to run no script but those of the app.

A text that slips through the escaping of the pages can then neither call another site nor run.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.components.chart_script import INDEX_FILE, build_script
from pages.components.streamlit_texts import list_scripts
from pages.gate.endpoints import get_path

INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
MEDIA_FOLDER = "/media/"
MEDIA_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""Policy of a file that somebody uploaded or the app made: opened by itself, it is a picture or a text."""


class ContentSecurity:
    """Middleware that adds the Content-Security-Policy and its companions to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the headers to the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_media = get_path(scope).startswith(MEDIA_FOLDER)
        policy = MEDIA_POLICY if is_media else build_policy(HTTPConnection(scope).headers.get("host", ""))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, send_with_headers)


def build_policy(host: str) -> str:
    """Return the policy of the pages; `host` is the checked header of the request.

    Inline styles are allowed, because Streamlit and Plotly write them. Of inline scripts, those of the app are. Scripts
    of this server may compile text, because Plotly makes its shaders for charts with many points (scattergl) so.
    """
    directives = {
        "default-src": "'self'",
        "script-src": " ".join(("'self'", "'unsafe-eval'", *_hash_scripts())),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' ws://{host} wss://{host}",  # not every browser counts a websocket as 'self'
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


@cache
def _hash_scripts() -> tuple[str, ...]:
    own_scripts = INLINE_SCRIPT.findall(INDEX_FILE.read_text(encoding="utf-8"))
    return tuple(hash_scripts([*own_scripts, *list_scripts(), build_script()]))


def hash_scripts(scripts: Iterable[str]) -> list[str]:
    """Return the source expressions of the policy that allow these inline scripts and no others."""
    digests = (hashlib.sha256(script.encode("utf-8")).digest() for script in scripts)
    return [f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests]
