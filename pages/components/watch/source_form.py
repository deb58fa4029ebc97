"""Fields that ask for the source of a watch."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.watches.source import BucketSource, DatabaseSource, FolderSource, SearchSource, Source, WebSource
from pages.components.i18n import _
from pages.components.watch.changes import build_checked

MAX_STEP_MINUTES, STEP_MINUTES = 1440, 15


def ask_source(default: Source, key: str) -> Callable[[], Source]:
    """Show the fields of a source; return a function that builds it and raises OptionError for what is not accepted.

    `default` fills the fields of its kind.
    """
    labels = {
        "folder": _("Folder"),
        "bucket": _("Bucket"),
        "web": _("Web address"),
        "search": _("Call records in Elasticsearch"),
        "database": _("Database"),
    }
    kind = st.segmented_control(
        _("Source"),
        list(labels),
        default=default.kind,
        format_func=labels.__getitem__,
        required=True,
        key=f"{key}-kind",
        help=_("Where new rows come from. Each tick reads what is new since the last one."),
    )
    values = default.model_dump() if kind == default.kind else {}
    return _FORMS[str(kind)](values, key)


def _ask_folder(values: dict[str, Any], key: str) -> Callable[[], Source]:
    left, right = st.columns([3, 1])
    path = left.text_input(
        _("Folder"),
        values.get("path", ""),
        key=f"{key}-path",
        help=_("A folder of the machine where Vigie runs. An operator lists the accepted folders in the settings."),
    )
    pattern = _ask_pattern(right, values, f"{key}-folder")
    return lambda: build_checked(FolderSource, path=path.strip(), pattern=pattern.strip())


def _ask_bucket(values: dict[str, Any], key: str) -> Callable[[], Source]:
    left, right = st.columns([3, 1])
    address = left.text_input(
        _("Address"), values.get("address", ""), key=f"{key}-address", placeholder="s3://bucket/folder"
    )
    pattern = _ask_pattern(right, values, f"{key}-bucket")
    return lambda: build_checked(BucketSource, address=address.strip(), pattern=pattern.strip())


def _ask_pattern(place: Any, values: dict[str, Any], key: str) -> str:
    return str(
        place.text_input(
            _("File names"),
            values.get("pattern", "*"),
            key=f"{key}-pattern",
            help=_("Pattern of the names of the files that are read, such as `*.csv`. `*` stands for all."),
        )
    )


def _ask_web(values: dict[str, Any], key: str) -> Callable[[], Source]:
    url = st.text_input(
        _("Web address"),
        values.get("url", ""),
        key=f"{key}-url",
        placeholder="https://",
        help=_("It answers with a table as CSV or JSON. An operator lists the accepted hosts in the settings."),
    )
    return lambda: build_checked(WebSource, url=url.strip())


def _ask_search(values: dict[str, Any], key: str) -> Callable[[], Source]:
    left, right = st.columns([3, 1])
    index = left.text_input(
        _("Index"),
        values.get("index", ""),
        key=f"{key}-index",
        help=_("Indices of the call records, separated by commas. Empty: those of the settings."),
    )
    step = right.number_input(
        _("Interval, minutes"),
        1,
        MAX_STEP_MINUTES,
        values.get("step_minutes", STEP_MINUTES),
        key=f"{key}-step",
        help=_("Length of the counted intervals."),
    )
    return lambda: build_checked(SearchSource, index=index.strip(), step_minutes=step)


def _ask_database(values: dict[str, Any], key: str) -> Callable[[], Source]:
    left, right = st.columns(2)
    database = left.text_input(
        _("Database"),
        values.get("database", ""),
        key=f"{key}-database",
        help=_("Name of a database that an operator has entered in the settings."),
    )
    time_column = right.text_input(
        _("Column of the time"),
        values.get("time_column", "time"),
        key=f"{key}-time",
        help=_("It orders the rows: a tick reads those after the last time that was read."),
    )
    query = st.text_area(
        _("Query"),
        values.get("query", ""),
        key=f"{key}-query",
        placeholder="SELECT time, entity, load FROM measurements WHERE time > :since ORDER BY time",
        help=_("A SELECT with the parameter `:since`, the last time that was read. Nothing is written."),
    )
    return lambda: build_checked(
        DatabaseSource, database=database.strip(), query=query.strip(), time_column=time_column.strip()
    )


_FORMS: dict[str, Callable[[dict[str, Any], str], Callable[[], Source]]] = {
    "folder": _ask_folder,
    "bucket": _ask_bucket,
    "web": _ask_web,
    "search": _ask_search,
    "database": _ask_database,
}
