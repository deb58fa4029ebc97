"""Options of the commands of watches: sources, instants, and the fields of watches in one line."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ValidationError

from core.errors import OptionError
from core.messages import N_
from core.watches.source import BucketSource, DatabaseSource, FolderSource, SearchSource, Source, WebSource

T = TypeVar("T", bound=BaseModel)
NOT_ACCEPTED = N_("{name} = {value!r} is not accepted. Accepted: {accepted}.")
INSTANT_FORMS = "2026-01-31, 2026-01-31T13:00Z, 2026-01-31T13:00+01:00"
SOURCE_FLAGS = ("--folder", "--bucket", "--url", "--calls", "--database")


def build_source(
    *,
    folder: str,
    bucket: str,
    url: str,
    calls: bool,
    step: int,
    database: str,
    query: str,
    time_column: str,
    pattern: str,
) -> Source | None:
    """Return the source of the options; None where none is given.

    `query` is SQL, or the path of a file that holds it. Raises OptionError for two sources, for an option of another
    source, and for a value that is not accepted.
    """
    values = dict(zip(SOURCE_FLAGS, (folder, bucket, url, calls, database), strict=True))
    flags = [flag for flag, value in values.items() if value]
    if len(flags) > 1:
        raise OptionError(N_("Give only one of these options: {options}."), options=" / ".join(flags))
    flag = flags[0] if flags else ""
    _require_companion("--pattern", pattern, flag, ("--folder", "--bucket"))
    _require_companion("--step", str(step or ""), flag, ("--calls",))
    _require_companion("--query", query, flag, ("--database",))
    _require_companion("--time-column", time_column, flag, ("--database",))
    matching = {"pattern": pattern} if pattern else {}
    if flag == "--folder":
        return build_model(FolderSource, flag, path=str(Path(folder).expanduser().absolute()), **matching)
    if flag == "--bucket":
        return build_model(BucketSource, flag, address=bucket, **matching)
    if flag == "--url":
        return build_model(WebSource, flag, url=url)
    if flag == "--calls":
        return build_model(SearchSource, "--step", **({"step_minutes": step} if step else {}))
    if flag == "--database":
        ordering = {"time_column": time_column} if time_column else {}
        return build_model(DatabaseSource, "--query", database=database, query=_read_query(query), **ordering)
    return None


def _require_companion(flag: str, value: str, chosen: str, companions: tuple[str, ...]) -> None:
    """Raise OptionError for an option that the chosen source does not have."""
    if value and chosen not in companions:
        raise OptionError(N_("{option} needs {chosen}."), option=flag, chosen=" / ".join(companions))


def _read_query(query: str) -> str:
    """Return the SQL of `--query`: the content of a file of this name, else the text itself."""
    try:
        is_file = len(query) < 4096 and Path(query).is_file()
        return Path(query).read_text(encoding="utf-8") if is_file else query
    except (OSError, ValueError) as error:
        raise OptionError(N_("{file} cannot be read ({reason})."), file=query[:200], reason=error) from None


def build_model(model: type[T], flag: str, /, **values: Any) -> T:
    """Return a model with these values. Raises OptionError that names `flag` for a value that is not accepted."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"])) or flag
        raise OptionError(
            N_("{option} is not accepted: {name}: {reason}."), option=flag, name=place, reason=fault["msg"]
        ) from None


def parse_instant(flag: str, text: str, zone: str = "") -> datetime:
    """Return an instant with its zone. Without one in the text, it is a time of `zone`.

    Raises OptionError for another form, and for a text and a `zone` that both name none.

    Example:
        >>> parse_instant("--until", "2026-01-31T13:00+01:00").isoformat()
        '2026-01-31T13:00:00+01:00'
        >>> parse_instant("--from", "2026-01-31", "Europe/Paris").isoformat()
        '2026-01-31T00:00:00+01:00'
    """
    try:
        instant = datetime.fromisoformat(text.strip())
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=ZoneInfo(zone)) if zone else instant
        if instant.tzinfo is not None:
            instant.astimezone(UTC)  # a year that no clock has raises here
            return instant
    except (ValueError, OverflowError, ZoneInfoNotFoundError):
        pass
    forms = INSTANT_FORMS if zone else INSTANT_FORMS.partition(", ")[2]
    raise OptionError(NOT_ACCEPTED, name=flag, value=text[:100], accepted=forms)


def to_json(model: BaseModel, **options: Any) -> dict[str, Any]:
    """Return a model as a JSON object."""
    return model.model_dump(mode="json", **options)


def format_instant(instant: datetime | None) -> str:
    """Return an instant in UTC as text; "-" for none."""
    return "-" if instant is None else f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def format_text(text: str) -> str:
    """Return a text of a file or a person as one line without signs that a terminal obeys; "-" for none."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip() or "-"
