"""Conversion of errors of jobs to JSON and back, between worker and page."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from core import errors
from core.errors import VigieError
from core.messages import N_

MAX_ATTEMPTS = 3


class JobFailedError(Exception):
    """An unexpected error of a job, raised again on the page; the log of the worker has its traceback."""


def error_to_json(error: BaseException, error_id: str) -> dict[str, Any]:
    """Return an error as JSON: template and values of a VigieError, or `error_id`, its id in the log, for others."""
    if isinstance(error, VigieError):
        values = {name: _value_to_json(value) for name, value in error.message.values.items()}
        return {"kind": type(error).__name__, "template": error.message.template, "values": values}
    return {"kind": "", "number": error_id, "name": type(error).__name__}


def error_from_json(json: Mapping[str, Any]) -> Exception:
    """Return the error of its JSON: a VigieError of the same class and message, or JobFailedError."""
    if not json.get("kind"):
        return JobFailedError(
            f"{json.get('name')} in a job. The log of the worker has the details under the number {json.get('number')}"
        )
    kind = getattr(errors, str(json["kind"]), VigieError)
    is_ours = isinstance(kind, type) and issubclass(kind, VigieError)
    values = {name: _value_from_json(value) for name, value in json["values"].items()}
    return (kind if is_ours else VigieError)(json["template"], **values)


def build_attempts_error() -> dict[str, Any]:
    """Return the error, as JSON, of a job whose workers died in every attempt."""
    message = N_(
        "This job was started {count} times, and each time its process was killed. The most "
        "likely reason is a lack of memory. Try fewer rows or a smaller model."
    )
    return error_to_json(VigieError(message, count=MAX_ATTEMPTS), "")


def _value_to_json(value: object) -> Any:
    """Return `value` as JSON; dates and times are marked, because each language formats them in its own way."""
    if isinstance(value, datetime):
        return {"moment": value.isoformat()}
    if isinstance(value, date):
        return {"day": value.isoformat()}
    if hasattr(value, "item"):  # NumPy scalars
        value = value.item()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _value_from_json(value: Any) -> object:
    if isinstance(value, dict):
        kind, text = next(iter(value.items()))
        return datetime.fromisoformat(text) if kind == "moment" else date.fromisoformat(text)
    return value
