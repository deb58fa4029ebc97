"""Chromium for the browser tests.

`python -m tests.support.chromium` installs it from Debian's packages if it is missing.
"""

import os
import shutil
import subprocess
import sys

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    """Return the path of the browser, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def apt_install(why: str, *packages: str) -> None:
    """Install packages with apt-get, as root or with sudo.

    If that fails, the program ends with a message: `why`, the error, and what to install by hand.
    """
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        ):
            subprocess.run([*sudo, *command], check=True, env=environment, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"{why}; it could not be installed ({error}): install {' '.join(packages)} by hand.")


if __name__ == "__main__" and chromium() is None:
    apt_install("Chromium is needed for the browser tests", "chromium", "fonts-dejavu-core")
