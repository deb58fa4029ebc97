"""The outbox of announcements: to mail servers, webhooks and chats.

Each recipient has its own thread while a message to it is on its way, so that one that does not answer delays no
other. What is sent when, and to whom again, is decided in `announcement_store.py`.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import AccessDeniedError, NotFoundError, OptionError, ServiceUnavailableError, VigieError
from core.messages import N_, Message
from core.settings import Settings

if TYPE_CHECKING:
    from core.storage.watches.announcement_store import MessageClaim
    from core.storage.watches.stores import WatchStores
    from core.watches.watch import Recipient

logger = logging.getLogger(__name__)

MAX_PARALLEL = 16  # recipients that are reached at once; others wait for their turn
ROUND_S = 1.0  # a round waits so long for its messages; slower ones are counted in a later round
MAX_MESSAGES = 20  # to one recipient in one round
REST_S = 5.0  # after a round in which nothing could be sent to a recipient, unless more is announced to it
RETENTION = timedelta(days=30)  # of announcements that were sent
PRUNE_INTERVAL_S = 3600.0


class AnnouncementOutbox:
    """Announcements of watches on their way to their recipients.

    file         SQLite file of the watches, where no database is set
    load_stores  opens the stores of watches at the first call
    """

    name, content = N_("Announcements"), N_("announcements")

    def __init__(self, file: Path, settings: Settings, load_stores: "Callable[[], WatchStores]") -> None:
        self._errors: dict[str, str] = {}  # of recipients, the last one at the end; "" for the database
        self._file, self._settings, self._load_stores = file, settings, load_stores
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._turns = threading.BoundedSemaphore(MAX_PARALLEL)
        self._rests: dict[str, tuple[int, float]] = {}  # name → number that was due, end of the rest
        self._delivered_count = 0
        self._ignores_waits = False
        self._next_prune_s = 0.0

    @property
    def location(self) -> str:
        """Mail server, or the file of the watches where none is set."""
        from core.storage.channels.mail import describe_server

        return describe_server(self._settings) or str(self._file)

    @property
    def last_error(self) -> str:
        """Last error of the recipients that could not be reached; "" if all were."""
        with self._lock:
            return next(reversed(self._errors.values()), "")

    @property
    def is_remote(self) -> bool:
        """True if a mail server is set; webhooks and chats need none."""
        return bool(self._settings.vigie_smtp_url.get_secret_value())

    def deliver_pending(self) -> int:
        """Send what is due, and return the number of announcements that were accepted since the last call.

        Messages that take longer than `ROUND_S` go on in the background.
        """
        if not self._has_database():
            return 0
        stores, ignores_waits = self._load_stores(), self._ignores_waits
        self._ignores_waits = False
        try:
            due = {waiting.recipient: waiting.due for waiting in stores.announcements.count_due(datetime.now(UTC))}
            self._delete_old(stores)
            self._note_error("", "")
        except ServiceUnavailableError as error:
            self._note_error("", str(error))
            due = {}
        names = [name for name, count in due.items() if ignores_waits or not self._is_resting(name, count)]
        threads = [thread for name in names if (thread := self._start_thread(name, due[name], stores, ignores_waits))]
        end_s = time.monotonic() + ROUND_S
        for thread in threads:
            thread.join(max(end_s - time.monotonic(), 0.0))
        return self._take_count()

    def wait_for_messages(self) -> int:
        """Wait for the end of the messages that are on their way, and return the number of announcements delivered.

        A process that delivers once calls it before its end.
        """
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join()
        return self._take_count()

    def count_pending(self) -> int:
        """Return the number of announcements that are due, without those that quiet hours or a cap hold back.

        It is 0 while the database does not answer, which `check` tells.
        """
        if not self._has_database():
            return 0
        from core.watches.announcing import is_quiet

        stores, now, count = self._load_stores(), datetime.now(UTC), 0
        with suppress(ServiceUnavailableError):
            recipients = {recipient.name: recipient for recipient in stores.recipients.list_recipients()}
            for waiting in stores.announcements.count_due(now):
                recipient = recipients.get(waiting.recipient)
                if recipient is None or not stores.announcements.is_capped(recipient, now):
                    count += waiting.urgent if recipient is not None and is_quiet(recipient, now) else waiting.due
        return count

    def count_rejected(self) -> int:
        """Return the number of announcements that were given up, see `AnnouncementStore.list_rejected`."""
        with suppress(ServiceUnavailableError):
            return self._load_stores().announcements.count_rejected() if self._has_database() else 0
        return 0

    def load_client(self) -> None:
        """Import what `check` needs."""
        from core.storage.channels import mail  # noqa: F401

        if self._has_database():
            self._load_stores().load_driver()

    def check(self) -> str:
        """Ask the database, and sign in to the mail server where one is set.

        Raises ServiceUnavailableError if one of them does not work.
        """
        from core.storage.channels.mail import check_server

        if self._has_database():
            self._load_stores().fetch_version()
        if self.is_remote:
            check_server(self._settings)
        return ""

    def reset(self) -> None:
        """Let the next delivery try messages again whose wait has not ended."""
        self._ignores_waits = True

    # ---- one recipient ----------------------------------------------------------------------------------------------

    def _has_database(self) -> bool:
        """Tell whether there may be watches: no file is created for none."""
        return bool(self._settings.database_url.get_secret_value()) or self._file.exists()

    def _is_resting(self, name: str, due: int) -> bool:
        """Tell whether a cap, quiet hours or a wait held everything back a moment ago, and nothing is new."""
        with self._lock:
            count, end_s = self._rests.get(name, (0, 0.0))
        return count == due and time.monotonic() < end_s

    def _start_thread(self, name: str, due: int, stores: "WatchStores", ignores_waits: bool) -> threading.Thread | None:
        """Start the thread of a recipient, and return it; None where it has one."""
        with self._lock:
            self._threads = {known: thread for known, thread in self._threads.items() if thread.is_alive()}
            if name in self._threads:
                return None
            work = partial(self._deliver_recipient, name, due, stores, ignores_waits)
            thread = self._threads[name] = threading.Thread(target=work, daemon=True, name=f"announce to {name}")
            thread.start()
            return thread

    def _deliver_recipient(self, name: str, due: int, stores: "WatchStores", ignores_waits: bool) -> None:
        """Send the messages to one recipient that are due; whatever happens, the thread ends quietly."""
        try:
            with self._turns:
                count = self._send_due(name, stores, ignores_waits)
            with self._lock:
                self._rests[name] = (due, 0.0 if count else time.monotonic() + REST_S)
        except NotFoundError as error:
            with suppress(VigieError):
                stores.announcements.reject_waiting(name, error.message, datetime.now(UTC))
                self._note_error(name, "")
        except ServiceUnavailableError as error:  # the database; the lease ends by itself
            self._note_error("", str(error))
        except Exception as error:
            if self._note_error(name, f"{type(error).__name__}: {error}"):  # not again every second
                logger.exception("announcements to %s could not be delivered", name)

    def _send_due(self, name: str, stores: "WatchStores", ignores_waits: bool) -> int:
        """Send the messages to a recipient that may be sent now, and return the number of those that were accepted."""
        recipient = stores.recipients.load_recipient(name)
        for number in range(MAX_MESSAGES):
            claim = stores.announcements.claim_message(recipient, datetime.now(UTC), ignores_waits=ignores_waits)
            if claim is None or not self._send_claim(claim, recipient, stores):
                return number
        return MAX_MESSAGES

    def _send_claim(self, claim: "MessageClaim", recipient: "Recipient", stores: "WatchStores") -> bool:
        """Send a message and note what became of it. Return True if it was accepted."""
        from core.storage.channels.base import DeliveryRefusedError
        from core.storage.channels.sending import send_message
        from core.watches.message_texts import render_message

        try:
            now, public_url = datetime.now(UTC), self._settings.vigie_public_url
            message = render_message(claim.id, claim.announcements, recipient, now, public_url)
            send_message(message, recipient, self._settings)
        except (DeliveryRefusedError, OptionError, AccessDeniedError) as error:
            return self._note_failure(claim, recipient, stores, error.message, is_final=True)
        except ServiceUnavailableError as error:
            return self._note_failure(claim, recipient, stores, error.message)
        except Exception as error:
            logger.exception("a message to %s could not be sent", recipient.name)
            problem = Message(N_("The message could not be sent ({reason})."), {"reason": type(error).__name__})
            return self._note_failure(claim, recipient, stores, problem)
        count = stores.announcements.note_sent(claim, datetime.now(UTC))
        with self._lock:
            self._delivered_count += count
        self._note_error(recipient.name, "")
        return True

    def _note_failure(
        self,
        claim: "MessageClaim",
        recipient: "Recipient",
        stores: "WatchStores",
        problem: Message,
        *,
        is_final: bool = False,
    ) -> bool:
        """Note why a message was not accepted. Return False."""
        self._note_error(recipient.name, str(problem))
        logger.warning("announcement to %s, attempt %d: %s", recipient.name, claim.attempt, problem)
        stores.announcements.note_failure(claim, problem, datetime.now(UTC), is_final=is_final)
        return False

    def _take_count(self) -> int:
        with self._lock:
            count, self._delivered_count = self._delivered_count, 0
        return count

    def _note_error(self, name: str, text: str) -> bool:
        """Keep the error of a recipient, or forget it where `text` is empty; return True for another than before."""
        with self._lock:
            previous = self._errors.pop(name, "")
            if text:
                self._errors[name] = text
            return text != previous

    def _delete_old(self, stores: "WatchStores") -> None:
        """Delete announcements that were sent long ago, once an hour."""
        if time.monotonic() >= self._next_prune_s:
            self._next_prune_s = time.monotonic() + PRUNE_INTERVAL_S
            stores.announcements.delete_sent(datetime.now(UTC) - RETENTION)
