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
