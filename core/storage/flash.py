"""Flash messages for the next page, kept in memory under random keys."""

import secrets
import threading
from collections import OrderedDict

from core.messages import Text

MAX_MESSAGES = 500


class FlashMessages:
    """The latest 500 flash messages.

    An address carries only the key of a message, so a forged link cannot show its own text.
    """

    def __init__(self) -> None:
        self._texts: OrderedDict[str, Text] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, text: Text) -> str:
        """Store a message and return its key."""
        number = secrets.token_urlsafe(12)
        with self._lock:
            self._texts[number] = text
            while len(self._texts) > MAX_MESSAGES:
                self._texts.popitem(last=False)
        return number

    def get(self, number: str) -> Text | None:
        """Return the message of a key, or None for an unknown key."""
        return self._texts.get(number)
