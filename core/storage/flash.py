"""Flash messages for the next page, one file each under a random key, so that any process can show them."""

import re
import secrets
from pathlib import Path

from core.messages import Message
from core.storage.durable_files import get_modified_s, write_durably

MAX_MESSAGES = 500
KEY_BYTES = 12
KEY_PATTERN = re.compile(r"[\w-]{16}", re.ASCII)


class FlashMessages:
    """The latest 500 flash messages, in `folder`.

    An address carries only the key of a message, so a forged link cannot show its own text.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, message: Message) -> str:
        """Store a message and return its key; "" where the disk does not take it."""
        key = secrets.token_urlsafe(KEY_BYTES)
        try:
            write_durably(self.folder / key, message.dump().encode())
        except OSError:
            return ""
        for path in sorted(self.folder.iterdir(), key=get_modified_s, reverse=True)[MAX_MESSAGES:]:
            path.unlink(missing_ok=True)
        return key

    def get(self, key: str) -> Message | None:
        """Return the message of a key, or None for an unknown key."""
        if KEY_PATTERN.fullmatch(key) is None:  # the key comes from the address of a page
            return None
        try:
            return Message.load((self.folder / key).read_text(encoding="utf-8"))
        except (OSError, ValueError, LookupError):
            return None
