"""The gate: middleware before all endpoints of the server, from the outermost to the innermost."""

from starlette.middleware import Middleware

from pages.gate.content_security import ContentSecurity
from pages.gate.endpoints import SignInCheck
from pages.gate.hosts import HostCheck
from pages.gate.streams import StreamCheck
from pages.gate.uploads import UploadLedger, UploadLimit

UPLOADS = UploadLedger()

MIDDLEWARE = [
    Middleware(HostCheck),
    Middleware(ContentSecurity),
    Middleware(SignInCheck),
    Middleware(UploadLimit, ledger=UPLOADS),
    Middleware(StreamCheck),
]
