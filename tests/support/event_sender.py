"""Process that delivers an event log to Elasticsearch: `python -m tests.support.event_sender FOLDER URL`."""

import sys
from pathlib import Path

from core.storage.events.elasticsearch import EventStream


def deliver_all_events(folder: Path, url: str) -> None:
    """Deliver all events of the log in `folder`."""
    stream = EventStream(folder, url)
    while stream.count_pending():
        stream.reset()
        stream.deliver_pending()


if __name__ == "__main__":
    deliver_all_events(Path(sys.argv[1]), sys.argv[2])
