"""A process that delivers announcements until it is killed.

`python -m tests.support.announcing_process FOLDER LEASE_S` takes the other settings from its environment.
"""

import sys
import time
from pathlib import Path

from core.settings import Settings
from core.storage.watches import announcement_store
from core.workspace import Workspace


def main(folder: Path, lease_s: float) -> None:
    announcement_store.LEASE_S = lease_s
    workspace = Workspace.from_settings(Settings(vigie_data_dir=folder))
    print("ready", flush=True)
    while True:
        workspace.announcements.deliver_pending()
        time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
