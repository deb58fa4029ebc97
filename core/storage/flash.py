"""Flash messages: sentences for the page that is loaded next, kept in memory by a number that nobody can guess."""

import secrets
import threading
from collections import OrderedDict

from core.messages import Text

MAX_MESSAGES = 500


class FlashMessages:
    """The latest 500 messages. An address carries their number alone, so a link cannot show words of its own."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, Text] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, text: Text) -> str:
        """Keep `text`; return its number."""
        number = secrets.token_urlsafe(12)
        with self._lock:
            self._texts[number] = text
            while len(self._texts) > MAX_MESSAGES:
                self._texts.popitem(last=False)
        return number

    def get(self, number: str) -> Text | None:
        """Return the message of that number; None for any other."""
        return self._texts.get(number)
