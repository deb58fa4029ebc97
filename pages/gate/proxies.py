"""Proxies that may name the address of a visitor."""

from functools import partial

import uvicorn.config
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from pages.components import cache


def trust_proxies() -> None:
    """Make the server believe the headers X-Forwarded-For and -Proto of the configured proxies only.

    By default uvicorn believes every process of this machine, and so everybody behind a tunnel that adds no header.
    Streamlit passes no option for this, and builds the configuration before it imports the app. Therefore the class
    that uvicorn wraps around the app afterwards is replaced.
    """
    uvicorn.config.ProxyHeadersMiddleware = partial(  # type: ignore[attr-defined, assignment]
        _build_middleware, cache.get_workspace().settings.vigie_trusted_proxies
    )


def _build_middleware(trusted_proxies: str, app: ASGIApp, **_options: object) -> ProxyHeadersMiddleware:
    return ProxyHeadersMiddleware(app, trusted_hosts=trusted_proxies)  # type: ignore[arg-type]
