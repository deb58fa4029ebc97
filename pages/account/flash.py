"""Sentences for the page that follows a form.

An address carries their number, so that no link can put words into our mouth.
"""

import secrets
import threading
from collections import OrderedDict

from core.messages import Text

KEPT = 500
_texts: OrderedDict[str, Text] = OrderedDict()
_lock = threading.Lock()


def number(text: Text) -> str:
    """Keep `text` for the page that is loaded next; the latest 500 are kept."""
    name = secrets.token_urlsafe(12)
    with _lock:
        _texts[name] = text
        while len(_texts) > KEPT:
            _texts.popitem(last=False)
    return name


def text(name: str) -> Text | None:
    """The sentence of that number; None for any other."""
    return _texts.get(name)
