"""The user of a run or an event, as it is recorded."""

import getpass
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Actor:
    """User of an action, and the application that they use.

    job   id of the job that acts for the user; "" where the user waits for the answer
    """

    user: str = field(default_factory=getpass.getuser)
    application: str = "Vigie"
    job: str = ""


@dataclass(frozen=True)
class Viewer:
    """User who reads runs: their own, and those of all if `sees_all`."""

    user: str
    sees_all: bool = False

    def may_read(self, owner: str) -> bool:
        """Tell whether the user may read a run of `owner`."""
        return self.sees_all or (bool(self.user) and self.user == owner)


NOBODY = Viewer("")
