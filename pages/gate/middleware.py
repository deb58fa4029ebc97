"""The gate: middleware before all endpoints of the server, from the outermost to the innermost."""

from starlette.middleware import Middleware

from pages.gate.hosts import HostCheck

MIDDLEWARE = [Middleware(HostCheck)]
