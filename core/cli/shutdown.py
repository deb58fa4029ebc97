"""The signals that end a command which runs until it is stopped."""

import signal
import threading

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def install_shutdown_event() -> threading.Event:
    """Return an event that SIGTERM, Ctrl-C and the end of the terminal set; under `nohup` the last one does not."""
    shutdown = threading.Event()
    for number in STOP_SIGNALS:  # a shell starts background jobs with SIGINT ignored
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: shutdown.set())
    return shutdown
