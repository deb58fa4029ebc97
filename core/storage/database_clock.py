"""The clock of the database as an expression of SQL, because the clocks of machines differ."""

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class now(FunctionElement[float]):  # noqa: N801 named like a SQL function
    """SQL expression for seconds since 1970 by the clock of the database."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(_element: object, _compiler: object, **_options: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_postgresql(_element: object, _compiler: object, **_options: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"
