"""Slow work beside the page: a thread does it, the address carries its key, the page shows how far it has come.

The threads know no Streamlit: what they need is in the function they are given, and what they tell is a `Progress`.
"""

import gc
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from core.progress import Cancelled, Progress
from pages.parts import session
from pages.parts.text import _, percent

Do = Callable[[Progress], str]
"""What is to be done: it tells its progress and returns the id of the run it made."""

KEPT = 600.0  # seconds after which work that has ended is forgotten
EVERY = 0.5  # seconds between two looks
FORGOTTEN = "forgotten"


@dataclass
class Work:
    """One piece of work: going on, or how it ended."""

    progress: Progress = field(default_factory=Progress)
    answer: str = ""
    error: BaseException | None = None
    stopping: bool = False
    ended: float | None = None  # on the monotonic clock

    @property
    def cancelled(self) -> bool:
        return isinstance(self.error, Cancelled)

    def cancel(self) -> None:
        """Ask it to stop at its next word."""
        self.stopping = True
        self.progress.cancel()

    def carry_out(self, do: Do) -> None:
        """`do`, whatever comes of it."""
        try:
            self.answer = do(self.progress)
        except BaseException as error:  # noqa: BLE001 the page that waits for it shows it
            self.error = error
        finally:
            self.ended = time.monotonic()


class Works:
    """Every piece of work of this process, by its key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Work] = {}

    def begin(self, key: str, do: Do) -> Work:
        """The work `key`: the one that goes on or has just ended (a double click), else a new one in a thread of its own."""
        with self._lock:
            self._forget()
            known = self._known.get(key)
            if known is not None and (known.ended is None or (_age(known) < session.DOUBLE_CLICK and not known.cancelled)):
                return known
            work = self._known[key] = Work()
        _set_aside()
        threading.Thread(target=work.carry_out, args=(do,), name=f"work {key}", daemon=True).start()
        return work

    def find(self, key: str) -> Work | None:
        with self._lock:
            self._forget()
            return self._known.get(key)

    def _forget(self) -> None:
        self._known = {key: work for key, work in self._known.items() if work.ended is None or _age(work) < KEPT}


def _set_aside() -> None:
    """Leave everything that is loaded now out of later collections of garbage.

    Streamlit collects after every run of a script, holding the interpreter for 0.4 s with all libraries loaded; a page that
    looks twice a second would leave the working thread hardly any time.
    """
    gc.collect()
    gc.freeze()


def _age(work: Work) -> float:
    """Seconds since it ended."""
    return 0.0 if work.ended is None else time.monotonic() - work.ended


WORKS = Works()


# ---- on the page ----------------------------------------------------------------------------------------------------


def start(question: str, user: str, do: Do) -> None:
    """Begin the work that answers `question` for `user`; the address then carries it."""
    key = hashlib.sha256(f"{user}\0{question}".encode()).hexdigest()[:24]
    WORKS.begin(key, do)
    session.remember_in_address("work", key)
    st.rerun()


def going_on() -> bool:
    """Does the address carry work?"""
    return bool(session.from_address("work"))


def ended() -> Work | None:
    """The work of the address, once it has ended or is no longer known; the address is rid of it then."""
    key = session.from_address("work")
    if not key:
        return None
    work = WORKS.find(key)
    if work is not None and work.ended is None:
        return None
    session.remember_in_address("work", "")
    return work or Work(error=Cancelled(FORGOTTEN))


def show(work: Work | None) -> None:
    """How far the work of the address has come, or why `work`, which has ended, has no answer. Raises what it raised."""
    if work is None:
        if going_on():
            _watch(session.from_address("work"))
    elif work.cancelled:
        forgotten = work.error is not None and FORGOTTEN in work.error.args
        st.info(
            _("This work is no longer known here; what it was to answer can be asked again.")
            if forgotten else _("Cancelled: nothing was kept, and the question is open again."), icon=":material/cancel:",
        )  # fmt: skip
    elif work.error is not None:
        raise work.error


@st.fragment(run_every=EVERY)
def _watch(key: str) -> None:
    work = WORKS.find(key)
    if work is None or work.ended is not None:
        st.rerun()
    share = min(max(work.progress.share, 0.0), 1.0)
    stage = _(work.progress.doing) if work.progress.doing else _("Starting …")
    doing = _("Stopping …") if work.stopping else f"{stage} · {percent(round(share, 2))}"
    with st.container(horizontal=True, vertical_alignment="center", key="work"):
        st.progress(share, doing)
        st.button(_("Cancel"), key="cancel-work", icon=":material/cancel:", on_click=work.cancel, disabled=work.stopping)
