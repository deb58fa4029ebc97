"""Feedback records: filters, counts, list, precision of detectors, downloads."""

from collections.abc import Callable, Mapping

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.messages import N_
from core.operations.feedback import VERDICT_LABELS
from core.spec.task import find_task, list_tasks
from core.storage.feedback import Feedback
from pages.components import cache, clock, downloads
from pages.components.feedback_form import format_verdict
from pages.components.i18n import _, format_percent, format_value, get_date_format
from pages.components.markdown import escape_markdown, format_code
from pages.components.run_name import name_run
from pages.components.task_links import get_task_label, link_run

MAX_SHOWN_ROWS = 2000
SUBJECT_LABELS = {"Vigie": "Vigie", "data": N_("Load data"), "tracking": N_("Tracking"), "monitoring": N_("Monitoring")}
"""Subject of feedback → label, in addition to the tasks."""


def list_subjects() -> list[str]:
    """Return the subjects of feedback: the product, its pages and the tasks."""
    first, second, *others = SUBJECT_LABELS
    return [first, second, *(task.name for task in list_tasks() if task.has_page), *others]


def get_subject_label(name: str) -> str:
    """Return the translated label of a subject."""
    return _(SUBJECT_LABELS[name]) if name in SUBJECT_LABELS else get_task_label(name)


def ask_filter(table: pd.DataFrame) -> pd.DataFrame:
    """Show the filters, and return the matching rows of `table`."""
    with st.expander(_("Filter"), icon=":material/filter_list:"):
        columns = st.columns(3) + st.columns(3)
        rows = _filter_by_days(table, columns[0])
        rows = _filter_by_value(rows, table, "page", columns[1].multiselect, _("About"), get_subject_label)
        rows = _filter_by_value(rows, table, "model", columns[2].multiselect, _("Model"), str)
        rows = _filter_by_value(rows, table, "verdict", columns[3].multiselect, _("Verdict"), format_verdict)
        rows = _filter_by_value(rows, table, "user", columns[4].multiselect, _("User"), str)
        search_text = columns[5].text_input(_("Text"), key="said-text", icon=":material/search:")
    if search_text:
        text = rows[["comment", "entity", "run"]].agg(" ".join, axis=1) if len(rows) else pd.Series([], dtype=str)
        rows = rows[text.str.contains(search_text, case=False, regex=False)]
    return rows.reset_index(drop=True)


def _filter_by_days(table: pd.DataFrame, column: DeltaGenerator) -> pd.DataFrame:
    days = clock.to_browser_times(table["time"]).dt.date
    first, last = days.min(), days.max()
    period = list(
        column.date_input(
            _("Period"), (first, last), min_value=first, max_value=last, format=get_date_format(), key="said-period"
        )
    )
    if not period:
        return table
    return table[(days >= period[0]) & (days <= (period[1] if len(period) > 1 else last))]


def _filter_by_value(
    rows: pd.DataFrame,
    table: pd.DataFrame,
    column: str,
    widget: Callable[..., list[str]],
    label: str,
    label_option: Callable[[str], str],
) -> pd.DataFrame:
    options = sorted(set(table[column]) - {""})
    chosen_options = widget(label, options, format_func=label_option, placeholder=_("All"), key=f"said-{column}")
    return rows[rows[column].isin(chosen_options)] if chosen_options else rows


def show_counts(table: pd.DataFrame) -> None:
    """Show the number of records, the number per verdict, and the mean rating."""
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Records"), format_value(len(table)), border=True)
        for verdict in VERDICT_LABELS:
            st.metric(format_verdict(verdict), format_value(int((table["verdict"] == verdict).sum())), border=True)
        ratings = table["rating"].dropna()
        mean = f"{format_value(round(float(ratings.mean()), 1))} ★" if len(ratings) else "–"
        st.metric(
            _("Rating"),
            mean,
            border=True,
            delta=_("of {count}").format(count=format_value(len(ratings))),
            delta_color="off",
            delta_arrow="off",
        )


def show_list(table: pd.DataFrame) -> None:
    """Show the records, newest first; a selected row shows its comment and a link to the run."""
    if table.empty:
        st.info(_("No feedback matches these filters."))
        return
    visible = table.head(MAX_SHOWN_ROWS)
    readable = pd.DataFrame(
        {
            "time": clock.to_browser_times(visible["time"]),
            "page": [get_subject_label(value) for value in visible["page"]],
            "verdict": [format_verdict(value) for value in visible["verdict"]],
            "rating": ["★" * int(value) if pd.notna(value) else "" for value in visible["rating"]],
            "entity": visible["entity"],
            "moment": [_format_time(value) for value in visible["moment"]],
            "comment": visible["comment"],
            "user": visible["user"],
            "model": visible["model"],
            "run": visible["run"].map({run: name_run(run) for run in visible["run"].unique()}),
        }
    )
    text = st.column_config.TextColumn
    selected_rows = st.dataframe(
        readable,
        hide_index=True,
        width="stretch",
        key="said",
        on_select="rerun",
        selection_mode="single-row",
        alt=_("Feedback records"),
        column_config={
            "time": clock.build_time_column(_("Date")),
            "page": text(_("About")),
            "verdict": text(_("Verdict")),
            "rating": text(_("Rating"), width="small"),
            "entity": text(_("Entity")),
            "moment": text(_("Row")),
            "comment": text(_("Comment"), width="large"),
            "user": text(_("User")),
            "model": text(_("Model")),
            "run": text(_("Run")),
        },
    ).selection.rows
    clock.show_zone()
    if selected_rows and selected_rows[0] < len(visible):
        _show_record(visible.iloc[selected_rows[0]])


def _format_time(stored_time: str) -> str:
    """Format a stored timestamp without zero minutes or hours; a row number stays as it is."""
    return stored_time.replace("T", " ").removesuffix(":00").removesuffix(" 00:00")


def _show_record(row: "pd.Series[object]") -> None:
    with st.container(border=True):
        st.caption(
            " · ".join(
                [
                    escape_markdown(row["user"]),
                    get_subject_label(row["page"]),
                    format_verdict(row["verdict"]) or "–",
                    format_code(row["id"]),
                ]
            )
        )
        if row["comment"]:
            st.text(row["comment"])
        task = find_task(row["page"])
        if row["run"] and task is not None:
            link_run(task, row["run"], row["dataset"], _("Open the run"))


def get_detector_label(row: Mapping[str, object]) -> str:
    """Join the page, the model and, if the row has one, the short id of the run into a label."""
    parts = [
        get_subject_label(str(row["page"])),
        str(row["model"] or "–"),
        *([str(row["run"])[:8]] if "run" in row else []),
    ]
    return " · ".join(parts)


def show_precision_table(table: pd.DataFrame, names: list[str]) -> None:
    """Show the precision of each detector with its interval."""
    shares = [
        "{} ({} – {})".format(*(format_percent(round(share, 3)) for share in (row.precision, row.low, row.high)))
        for row in table.itertuples()
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(
            {
                "name": names,
                "precision": shares,
                "reviewed": table["reviewed"],
                "true": table["true"],
                "false": table["false"],
                "unsure": table["unsure"],
            }
        ),
        hide_index=True,
        width="stretch",
        key="precision-table",
        alt=_("Precision of each detector with its interval"),
        column_config={
            "name": st.column_config.TextColumn(_("Detector")),
            "precision": st.column_config.TextColumn(_("Precision (95 % interval)")),
            "reviewed": number(_("Reviewed")),
            "true": number(format_verdict("true_alarm")),
            "false": number(format_verdict("false_alarm")),
            "unsure": number(format_verdict("unsure")),
        },
    )


def show_export_buttons(table: pd.DataFrame, records: list[Feedback]) -> None:
    """Show the downloads: labels for evaluation, the list, and the stored records."""
    from core.operations.feedback_labels import add_label_column, build_label_table

    st.header(_("Export"))
    workspace, dataset = cache.get_workspace(), cache.load_dataset()
    with st.container(horizontal=True):
        if dataset is not None and dataset.digest in set(table["dataset"]):
            downloads.show_csv_button(
                _("Loaded data with labels (CSV)"),
                lambda: add_label_column(dataset, records, workspace),
                "labelled.csv",
                key="said-labelled",
                icon=":material/label:",
                type="primary",
                help=_(
                    "The measurements with a column label: 1 for true alarms, 0 for all other "
                    "rows. Load the file again to evaluate detectors with these labels."
                ),
            )
        downloads.show_csv_button(
            _("Labels (CSV)"),
            lambda: build_label_table(records, workspace),
            "labels.csv",
            key="said-labels",
            icon=":material/label:",
            help=_(
                "One line per reviewed row: entity, time, score, label (1 for a true alarm, 0 "
                "for a false alarm), verdict, run, model and dataset. Rows with the verdict "
                "unsure are left out."
            ),
        )
        downloads.show_csv_button(_("Feedback list (CSV)"), lambda: table, "feedback.csv", key="said-csv")
        st.download_button(
            _("Feedback records (JSON Lines)"),
            lambda: "".join(record.model_dump_json() + "\n" for record in records),
            "feedback.jsonl",
            key="said-jsonl",
            icon=":material/download:",
            on_click="ignore",
        )
