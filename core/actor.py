"""Who acts, as runs and events record it."""

import getpass
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Actor:
    """Who acts, and through which page or command.

    job   the id of the job through which they act; "" where they wait for the answer themselves
    """

    user: str = field(default_factory=getpass.getuser)
    application: str = "Vigie"
    job: str = ""
