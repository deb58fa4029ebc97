"""Chromium for the browser tests.

`python -m tests.support.chromium` installs it from Debian's packages if it is missing.
"""

import os
import shutil
import subprocess
import sys

CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """Return the path of the browser, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def install_packages(reason: str, *packages: str) -> None:
    """Install packages with apt-get, as root or with sudo.

    If that fails, the program ends with a message: `reason`, the error, and what to install by hand.
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
        sys.exit(f"{reason}; it could not be installed ({error}): install {' '.join(packages)} by hand.")


if __name__ == "__main__" and find_chromium() is None:
    install_packages("Chromium is needed for the browser tests", "chromium", "fonts-dejavu-core")
