"""The list of runs: a table with chosen columns, and cards for a narrow screen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.runs.run_names import translate_run_name
from core.runs.run_table import FACTS, METRIC_PREFIX, PARAMETER_PREFIX
from core.spec.metric import Metric
from core.spec.parameter_labels import get_parameter_label
from core.spec.task import get_metric
from pages.components import clock
from pages.components.i18n import _, format_percent, format_value
from pages.components.markdown import escape_markdown, format_code
from pages.components.run_name import format_run_name
from pages.components.task_links import get_task_label

if TYPE_CHECKING:
    from core.runs.comparison import RunListItem

STATUS_MARKS = {"completed": "✓", "failed": "✕", "interrupted": "◌", "running": "▶"}
NO_VALUE = "–"
MAX_UNPINNED_COLUMNS = 7


def get_status_label(status: str) -> str:
    """Return the translated status with a mark; "All" for an empty status."""
    labels = {
        "completed": _("completed"),
        "failed": _("failed"),
        "interrupted": _("interrupted"),
        "running": _("running"),
    }
    return f"{STATUS_MARKS[status]} {labels[status]}" if status in labels else status or _("All")


# ---- columns --------------------------------------------------------------------------------------------------------


def get_column_label(column: str, task: str = "") -> str:
    """Return the translated heading of a column."""
    if column.startswith(METRIC_PREFIX):
        return _(_find_metric(column, task).label)
    return _(FACTS[column] if column in FACTS else get_parameter_label(column.removeprefix(PARAMETER_PREFIX), task))


def get_column_option(column: str, task: str = "") -> str:
    """Return the label of a column among others to choose from: the heading with its kind."""
    if column.startswith(PARAMETER_PREFIX):
        label, name = get_column_label(column, task), column.removeprefix(PARAMETER_PREFIX)
        return _("Parameter: {name}").format(name=label if label == name else f"{label} ({name})")
    if column.startswith(METRIC_PREFIX):
        label, name = get_column_label(column, task), column.removeprefix(METRIC_PREFIX)
        return _("Metric: {name}").format(name=label if label == name else f"{label} ({name})")
    return get_column_label(column)


def _find_metric(column: str, task: str) -> Metric:
    return get_metric(column.removeprefix(METRIC_PREFIX), task)


# ---- table ----------------------------------------------------------------------------------------------------------


def build_display_table(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the displayed columns of the table of `runs_to_frame`, in their order."""
    replaced = {
        "name": [_format_name(run) for run in table.to_dict("records")],
        "began": clock.to_browser_times(table["began"]),
        "status": [_format_brief_status(*values) for values in zip(table["status"], table["waits"], strict=True)],
        "task": [get_task_label(task) for task in table["task"]],
        "figure": [_format_headline(run) for run in table.to_dict("records")],
        "seconds": table["seconds"].astype(float).round(1),
        "emissions_g": table["emissions_g"].astype(float),
    }
    return pd.DataFrame({column: replaced.get(column, table[column]) for column in columns})


def build_column_config(table: pd.DataFrame, task: str = "") -> dict[str, ColumnConfig]:
    """Return the headings and formats of the columns of a table of `build_display_table`."""
    config = {column: _build_column(table[column], get_column_label(column, task), task) for column in table}
    if table.columns[0] == "name" and table.shape[1] > MAX_UNPINNED_COLUMNS:  # the name stays in view
        config["name"]["pinned"] = True
    return config


def _build_column(values: pd.Series, label: str, task: str) -> ColumnConfig:
    column, number = str(values.name), st.column_config.NumberColumn
    if column == "began":
        return clock.build_time_column(label)
    if column == "seconds":
        return number(label, format="localized", step=0.1, width=75)
    if column == "emissions_g":
        return number(label, format="localized", step=0.00001, width=73)
    if column.startswith(METRIC_PREFIX):
        if _find_metric(column, task).unit == "%":
            return number(label, format="percent")
        has_decimals = bool((values.dropna().astype(float) % 1 != 0).any())
        return number(label, format="localized", step=0.0001 if has_decimals else 1)
    widths = {"name": 372, "status": 88, "figure": 112, "user": 90}
    name = column.removeprefix(PARAMETER_PREFIX)
    return st.column_config.TextColumn(
        label, width=widths.get(column), help=format_code(name) if name not in (column, label) else None
    )


def _format_name(run: dict[str, Any]) -> str:
    return translate_run_name(run["name"], run["task"], _) or run["run"][:12]


def _format_brief_status(status: str, waits: bool) -> str:
    """Return the mark of a completed run, and mark and word of any other status."""
    label = STATUS_MARKS["completed"] if status == "completed" else get_status_label(status)
    return label + " · " + _("waiting for delivery to MLflow") if waits else label


def _format_headline(run: dict[str, Any]) -> str:
    """Return the headline metric of a run with its name."""
    value = run["value"]
    if value is None or value != value:
        return NO_VALUE
    metric = get_metric(run["figure"], run["task"])
    if metric.unit == "%":
        return f"{_(metric.label)} {format_percent(round(float(value), 4))}"
    number = int(value) if float(value).is_integer() else round(float(value), 4)
    return _("{name}: {value}").format(name=_(metric.label), value=format_value(number))


# ---- cards ----------------------------------------------------------------------------------------------------------


def build_card_titles(runs: "Sequence[RunListItem]") -> dict[str, str]:
    """Return run id → title of its card."""
    return {
        item.record.id: f"{STATUS_MARKS.get(item.status, '')} {escape_markdown(format_run_name(item.record))}"
        for item in runs
    }


def build_card_facts(
    runs: "Sequence[RunListItem]", table: pd.DataFrame, columns: Sequence[str], task: str
) -> list[str]:
    """Return the line below the title of each card: the chosen columns that are not in the title."""
    shown = [column for column in columns if column not in ("name", "status")]
    return [_format_facts(item, run, shown, task) for item, run in zip(runs, table.to_dict("records"), strict=True)]


def _format_facts(item: "RunListItem", run: dict[str, Any], columns: Sequence[str], task: str) -> str:
    facts = [_format_fact(item, run, column, task) for column in columns]
    waiting_text = [_("waiting for delivery to MLflow")] if item.is_pending else []
    return " · ".join(escape_markdown(fact) for fact in [*facts, *waiting_text] if fact)


def _format_fact(item: "RunListItem", run: dict[str, Any], column: str, task: str) -> str:
    value = run[column]
    if column == "began":
        return clock.format_epoch_ms(item.record.started_ms)
    if column == "figure":
        return "" if (text := _format_headline(run)) == NO_VALUE else text
    if column == "task":
        return get_task_label(value)
    if value is None or value != value or value == "":
        return ""
    if column == "seconds":
        return f"{format_value(round(float(value), 1))} s"
    if column == "emissions_g":
        return f"{format_value(float(f'{value:.2g}'))} g CO₂"
    if column.startswith(METRIC_PREFIX) and _find_metric(column, task).unit == "%":
        text = format_percent(round(float(value), 4))
    else:
        text = format_value(float(f"{value:.4g}")) if isinstance(value, float) else str(value)
    return text if column in FACTS else _("{name}: {value}").format(name=get_column_label(column, task), value=text)
