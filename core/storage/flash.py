"""Flash messages for the next page, kept in memory under random keys."""

import secrets
import threading
from collections import OrderedDict

from core.messages import Message

MAX_MESSAGES = 500


class FlashMessages:
    """The latest 500 flash messages.

    An address carries only the key of a message, so a forged link cannot show its own text.
    """

    def __init__(self) -> None:
        self._messages: OrderedDict[str, Message] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, message: Message) -> str:
        """Store a message and return its key."""
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._messages[key] = message
            while len(self._messages) > MAX_MESSAGES:
                self._messages.popitem(last=False)
        return key

    def get(self, key: str) -> Message | None:
        """Return the message of a key, or None for an unknown key."""
        return self._messages.get(key)
