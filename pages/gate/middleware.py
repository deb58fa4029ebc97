"""The gate: middleware before all endpoints of the server, from the outermost to the innermost."""

from starlette.middleware import Middleware

from pages.gate.content_security import ContentSecurity
from pages.gate.endpoints import SignInCheck
from pages.gate.hosts import HostCheck
from pages.gate.messages import MessageCheck
from pages.gate.script_preload import ScriptPreload
from pages.gate.streams import StreamCheck
from pages.gate.uploads import UploadIntake

MIDDLEWARE = [
    Middleware(HostCheck),
    Middleware(ContentSecurity),
    Middleware(ScriptPreload),
    Middleware(SignInCheck),
    Middleware(UploadIntake),
    Middleware(StreamCheck),
    Middleware(MessageCheck),
]
