"""Runs on screen: as a table, one opened, several side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from babel import numbers
from streamlit.elements.lib.column_types import ColumnConfig

from core.errors import NotFoundError, VigieError
from core.exports import as_csv
from pages.components import cache, clock
from pages.components.i18n import _, date_format, language, percent, say, shown
from pages.components.results import model
from pages.components.results.run_widgets import card, chart

if TYPE_CHECKING:
    from core.runs.comparison import Compared, Record

PAGES = Path(__file__).resolve().parents[2] / "analysis"
MARKS = {"completed": "✓", "failed": "✕", "interrupted": "◌", "running": "▶"}


def state(status: str) -> str:
    """A status in a word, with a mark."""
    words = {
        "completed": _("completed"),
        "failed": _("failed"),
        "interrupted": _("interrupted"),
        "running": _("running"),
    }
    return f"{MARKS[status]} {words[status]}" if status in words else status or _("All")


# ---- as a table -----------------------------------------------------------------------------------------------------


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The columns a person reads."""
    from core.runs.comparison import TASKS

    began = pd.DatetimeIndex([clock.from_epoch_ms(int(when.timestamp() * 1000)) for when in table["began"]])
    return pd.DataFrame(
        {
            "began": began,
            "status": [_brief(*line) for line in zip(table["status"], table["waits"], strict=True)],
            "task": [_(TASKS[task].label) if task in TASKS else task for task in table["task"]],
            "model": table["model"],
            "figure": [_figure(name, value) for name, value in zip(table["figure"], table["value"], strict=True)],
            "files": table["files"],
            "user": table["user"],
            "seconds": table["seconds"].astype(float).round(1),
            "emissions": table["emissions_g"].astype(float),
        }
    )


def _brief(status: str, waits: bool) -> str:
    """What went well needs no word."""
    word = MARKS["completed"] if status == "completed" else state(status)
    return word + " · " + _("waits for MLflow") if waits else word


def columns() -> dict[str, ColumnConfig]:
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "began": st.column_config.DatetimeColumn(_("When"), format=f"{date_format()} HH:mm"),
        "task": text(_("Task")),
        "model": text(_("Model")),
        "files": text(_("Data")),
        "user": text(_("User")),
        "figure": text(_("Main figure")),
        "status": text(_("Status"), width=88),
        "seconds": number(_("Seconds"), format="localized"),
        "emissions": number("g CO₂", format="%.2g"),
    }


def _figure(name: str, value: float | None) -> str:
    """The figure that says most of what a run found."""
    if value is None or value != value:
        return "–"
    words = {
        "anomalies": _("anomalies: {value}"),
        "clusters": _("clusters: {value}"),
        "events": _("events: {value}"),
        "rows_judged": _("rows judged: {value}"),
        "series": _("series: {value}"),
    }
    if name == "wape":
        return f"WAPE {percent(round(float(value), 4))}"
    return words.get(name, name + ": {value}").format(value=shown(int(value)))


# ---- one ------------------------------------------------------------------------------------------------------------


def opened(run: str) -> None:
    """What a run was, and where its result is."""
    from core.runs import comparison

    [record] = comparison.look_up([run], cache.get_workspace())
    task = record.experiment
    st.subheader(record.name or record.id)
    st.caption(
        " · ".join(
            [
                _(comparison.TASKS[task].label) if task in comparison.TASKS else task,
                state(record.status),
                shown(clock.from_epoch_ms(record.started_ms)),
                record.tags.get("user", ""),
                f"`{record.id}`",
            ]
        )
    )
    if record.tags.get("error"):
        st.error(record.tags["error"].replace("$", "\\$"), icon=":material/report:")
    with st.container(horizontal=True, vertical_alignment="center"):
        _result(record)
        link = comparison.mlflow_page(record, cache.get_workspace())
        if link:
            st.link_button(_("Open in MLflow"), link, icon=":material/open_in_new:")
        card(record.id)
    if comparison.has_model(record):
        model.section(record.id, task)
    _tables(comparison.compared([run], cache.get_workspace()))


def _result(record: "Record") -> None:
    """The way to the page that shows the result, with its data."""
    from core.runs.comparison import TASKS, has_data

    address = TASKS[record.experiment].page if record.experiment in TASKS else ""
    if not address or record.status != "completed":
        return
    if not has_data(record, cache.get_workspace()):
        st.caption(
            _("Its data are not stored here: load {files} again to see the result.").format(
                files=record.tags.get("dataset.files", "")
            )
        )
        return
    st.page_link(
        PAGES / f"{address}.py",
        label=_("Open the result"),
        icon=":material/open_in_full:",
        query_params={"dataset": record.tags["dataset.digest"], "run": record.id},
    )


# ---- several --------------------------------------------------------------------------------------------------------


def compared(chosen: list[str]) -> None:
    """Parameters, metrics and figures side by side."""
    from core.runs import comparison

    try:
        found = comparison.compared(chosen, cache.get_workspace())
    except VigieError as error:
        st.error(say(error.text), icon=":material/error:")
        return
    st.subheader(_("{count} runs compared").format(count=len(chosen)))
    if not found.same_data:
        st.warning(_("These runs are on different data: their figures cannot be ranked."), icon=":material/data_alert:")
    _tables(found)
    st.download_button(
        _("Comparison (CSV)"),
        lambda: as_csv(found.to_frame()),
        "comparison.csv",
        key="comparison-CSV",
        icon=":material/download:",
        on_click="ignore",
    )
    _pictures(found)


def _tables(found: "Compared") -> None:
    names = _headings(found)
    parameters, metrics = st.tabs([_("Parameters"), _("Metrics")])
    with parameters:
        _parameters(found, names)
    with metrics:
        _metrics(found, names)


def _headings(found: "Compared") -> dict[str, str]:
    """A short name for every run: the model, and the beginning of the id."""
    return {record.id: f"{record.tags.get('model_name', '')} · {record.id[:6]}" for record in found.records}


def _parameters(found: "Compared", names: dict[str, str]) -> None:
    differing, several = found.differing(), len(found.records) > 1
    table = found.parameters
    if several:
        only = st.toggle(_("Only what differs"), bool(differing.any()), key="only-differing")
        table = table[differing] if only else table
        table = table.assign(**{"≠": ["≠" if differing[name] else "" for name in table.index]})[["≠", *names]]
    _show(table.rename(columns=names), "parameters", _("Parameters of the runs"), _("Parameter"))


def _metrics(found: "Compared", names: dict[str, str]) -> None:
    """The best of each line is starred where it is known which way is better and the data are the same."""
    best = found.best() if found.same_data else None
    table = pd.DataFrame(
        {
            run: [
                f"{'★ ' if best is not None and best.loc[name, run] else ''}{_number(found.metrics.loc[name, run])}"
                for name in found.metrics.index
            ]
            for run in names
        },
        index=found.metrics.index,
    )
    if best is not None and len(names) > 1:
        st.caption(_("★ is the best of its line, where it is known which way is better."))
    _show(table.rename(columns=names), "metrics", _("Metrics of the runs"), _("Metric"))


def _show(table: pd.DataFrame, key: str, alt: str, first: str) -> None:
    table = table.rename_axis(first).reset_index()
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key=f"compared-{key}",
        alt=alt,
        height=min(38 + 35 * max(len(table), 1), 460),
    )


def _number(value: float) -> str:
    if value != value:
        return "–"
    if float(value).is_integer():
        return shown(int(value))
    pattern = "#,##0.####" if abs(value) >= 0.001 else "0.###E0"
    return numbers.format_decimal(value, format=pattern, locale=language())


def _pictures(found: "Compared") -> None:
    """The figure of each run's card, two in a row, on one scale where they show the same."""
    from core.runs.card import run_card
    from core.runs.figures import common_ends, shares, small

    names, pictures = _headings(found), {}
    for record in found.records:
        try:
            picture = cache.cache_by_run(run_card, record.id).picture
        except NotFoundError:
            picture = None
        if picture is not None:
            pictures[record.id] = shares(picture)
    if not pictures:
        return
    ends = common_ends(list(pictures.values())) if found.same_data else None
    places = [column for _row in range((len(pictures) + 1) // 2) for column in st.columns(2)]
    for place, (run, picture) in zip(places, pictures.items(), strict=False):
        with place:
            st.caption(f"{names[run]} · {say(picture.title)}")
            chart(small(picture, _, ends), f"picture-{run}", say(picture.title), dated=False)
