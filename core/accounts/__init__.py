"""Who may use Vigie, and as what: accounts, their roles, sign-ins and sessions, in SQLite or PostgreSQL."""

from functools import cache
from typing import TYPE_CHECKING, Any

from core.accounts.models import ROLES, Session, SignIn, User
from core.settings import settings

if TYPE_CHECKING:
    from core.accounts.service import Accounts

__all__ = ["ROLES", "Accounts", "Session", "SignIn", "User", "accounts"]


def __getattr__(name: str) -> Any:
    """`Accounts` is imported when it is asked for: where nobody has to sign in, SQLAlchemy is never loaded."""
    if name != "Accounts":
        raise AttributeError(name)
    from core.accounts.service import Accounts

    return Accounts


@cache
def accounts() -> "Accounts":
    """The accounts that the settings describe: DATABASE_URL, else a SQLite file in the data folder."""
    from core.accounts.service import Accounts

    given = settings()
    return Accounts(given.database_url.get_secret_value(), given.vigie_data_dir.resolve())
