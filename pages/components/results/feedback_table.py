"""Feedback records: filters, counts, list, precision of detectors, downloads."""

from collections.abc import Callable, Mapping
from datetime import datetime

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.exports import as_csv
from core.messages import N_
from core.operations.feedback import VERDICTS
from core.spec.task import find_task, list_tasks
from core.storage.feedback import Feedback
from pages.components import cache
from pages.components.feedback_form import words
from pages.components.i18n import _, date_format, percent, shown
from pages.components.task_links import link_run, task_label

SHOWN_ROWS = 2000
OTHER_SUBJECTS = {"Vigie": "Vigie", "data": N_("Load data"), "tracking": N_("Tracking"), "monitoring": N_("Monitoring")}
"""Subject of feedback → label, in addition to the tasks."""


def list_subjects() -> list[str]:
    """Return the subjects of feedback: the product, its pages and the tasks."""
    first, second, *others = OTHER_SUBJECTS
    return [first, second, *(task.name for task in list_tasks() if task.has_page), *others]


def subject_label(name: str) -> str:
    """Return the translated label of a subject."""
    return _(OTHER_SUBJECTS[name]) if name in OTHER_SUBJECTS else task_label(name)


def filter_form(lines: pd.DataFrame) -> pd.DataFrame:
    """Show the filters, and return the matching rows of `lines`."""
    with st.expander(_("Filter"), icon=":material/filter_list:"):
        columns = st.columns(3) + st.columns(3)
        kept = _filter_by_days(lines, columns[0])
        kept = _filter_by(kept, lines, "page", columns[1].multiselect, _("About"), subject_label)
        kept = _filter_by(kept, lines, "model", columns[2].multiselect, _("Model"), str)
        kept = _filter_by(kept, lines, "verdict", columns[3].multiselect, _("Verdict"), words)
        kept = _filter_by(kept, lines, "user", columns[4].multiselect, _("User"), str)
        asked = columns[5].text_input(_("Text"), key="said-text", icon=":material/search:")
    if asked:
        text = kept[["comment", "entity", "run"]].agg(" ".join, axis=1) if len(kept) else pd.Series([], dtype=str)
        kept = kept[text.str.contains(asked, case=False, regex=False)]
    return kept.reset_index(drop=True)


def _filter_by_days(lines: pd.DataFrame, column: DeltaGenerator) -> pd.DataFrame:
    days = lines["time"].dt.date
    first, last = days.min(), days.max()
    period = list(
        column.date_input(
            _("Period"), (first, last), min_value=first, max_value=last, format=date_format(), key="said-period"
        )
    )
    if not period:
        return lines
    return lines[(days >= period[0]) & (days <= (period[1] if len(period) > 1 else last))]


def _filter_by(
    kept: pd.DataFrame,
    lines: pd.DataFrame,
    column: str,
    ask: Callable[..., list[str]],
    label: str,
    named: Callable[[str], str],
) -> pd.DataFrame:
    options = sorted(set(lines[column]) - {""})
    chosen = ask(label, options, format_func=named, placeholder=_("All"), key=f"said-{column}")
    return kept[kept[column].isin(chosen)] if chosen else kept


def show_counts(lines: pd.DataFrame) -> None:
    """Show the number of records, the number per verdict, and the mean rating."""
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Records"), shown(len(lines)), border=True)
        for verdict in VERDICTS:
            st.metric(words(verdict), shown(int((lines["verdict"] == verdict).sum())), border=True)
        rated = lines["rating"].dropna()
        mean = f"{shown(round(float(rated.mean()), 1))} ★" if len(rated) else "–"
        st.metric(
            _("Rating"),
            mean,
            border=True,
            delta=_("of {count}").format(count=shown(len(rated))),
            delta_color="off",
            delta_arrow="off",
        )


def show_list(lines: pd.DataFrame) -> None:
    """Show the records, newest first; a selected row shows its comment and a link to the run."""
    if lines.empty:
        st.info(_("Nothing that was said fits these filters."))
        return
    visible = lines.head(SHOWN_ROWS)
    zone = datetime.now().astimezone().tzinfo
    readable = pd.DataFrame(
        {
            "time": visible["time"].dt.tz_convert(zone).dt.tz_localize(None),
            "page": [subject_label(each) for each in visible["page"]],
            "verdict": [words(each) for each in visible["verdict"]],
            "rating": ["★" * int(each) if pd.notna(each) else "" for each in visible["rating"]],
            "entity": visible["entity"],
            "moment": [_format_moment(each) for each in visible["moment"]],
            "comment": visible["comment"],
            "user": visible["user"],
            "model": visible["model"],
            "run": visible["run"].str[:12],
        }
    )
    text = st.column_config.TextColumn
    picked = st.dataframe(
        readable,
        hide_index=True,
        width="stretch",
        key="said",
        on_select="rerun",
        selection_mode="single-row",
        alt=_("What was said"),
        column_config={
            "time": st.column_config.DatetimeColumn(_("Said"), format=f"{date_format()} HH:mm"),
            "page": text(_("About")),
            "verdict": text(_("Verdict")),
            "rating": text(_("Rating"), width="small"),
            "entity": text(_("Entity")),
            "moment": text(_("Row")),
            "comment": text(_("Comment"), width="large"),
            "user": text(_("User")),
            "model": text(_("Model")),
            "run": text(_("Run"), width="small"),
        },
    ).selection.rows
    if picked and picked[0] < len(visible):
        _show_record(visible.iloc[picked[0]])


def _format_moment(written: str) -> str:
    """Format a stored timestamp without zero minutes or hours; a row number stays as it is."""
    return written.replace("T", " ").removesuffix(":00").removesuffix(" 00:00")


def _show_record(line: "pd.Series[object]") -> None:
    with st.container(border=True):
        st.caption(f"{line['user']} · {subject_label(line['page'])} · {words(line['verdict']) or '–'} · `{line['id']}`")
        if line["comment"]:
            st.text(line["comment"])
        task = find_task(line["page"])
        if line["run"] and task is not None:
            link_run(task, line["run"], line["dataset"], _("Open the run"))


def detector_label(line: Mapping[str, object]) -> str:
    """Return the label of a detector, or of one of its runs."""
    parts = [
        subject_label(str(line["page"])),
        str(line["model"] or "–"),
        *([str(line["run"])[:8]] if "run" in line else []),
    ]
    return " · ".join(parts)


def show_precision_table(found: pd.DataFrame, names: list[str]) -> None:
    """Show the precision of each detector with its interval."""
    shares = [
        f"{percent(round(each.precision, 3))} ({percent(round(each.low, 3))} – {percent(round(each.high, 3))})"
        for each in found.itertuples()
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(
            {
                "name": names,
                "precision": shares,
                "judged": found["judged"],
                "true": found["true"],
                "false": found["false"],
                "unsure": found["unsure"],
            }
        ),
        hide_index=True,
        width="stretch",
        key="precision-table",
        alt=_("Precision of each detector with its interval"),
        column_config={
            "name": st.column_config.TextColumn(_("Detector")),
            "precision": st.column_config.TextColumn(_("Precision (95 % interval)")),
            "judged": number(_("Judged")),
            "true": number(words("true_alarm")),
            "false": number(words("false_alarm")),
            "unsure": number(words("unsure")),
        },
    )


def export_buttons(lines: pd.DataFrame, records: list[Feedback]) -> None:
    """Show the downloads: labels for evaluation, the list, and the stored records."""
    from core.operations.feedback_labels import add_label_column, label_table

    st.subheader(_("Take it along"))
    workspace, dataset = cache.get_workspace(), cache.load_dataset()
    with st.container(horizontal=True):
        if dataset is not None and dataset.digest in set(lines["dataset"]):
            st.download_button(
                _("The loaded data with labels (CSV)"),
                lambda: as_csv(add_label_column(dataset, records, workspace)),
                "labelled.csv",
                key="said-labelled",
                icon=":material/label:",
                on_click="ignore",
                type="primary",
                help=_(
                    "The measurements with a column label: 1 for true alarms, 0 for everything else. Load the "
                    "file again, and detectors are measured against these labels."
                ),
            )
        st.download_button(
            _("Labels (CSV)"),
            lambda: as_csv(label_table(records, workspace)),
            "labels.csv",
            key="said-labels",
            icon=":material/label:",
            on_click="ignore",
            help=_(
                "One line per judged row: entity, time, score, label (1 a true alarm, 0 a false one), "
                "verdict, run, model and dataset. Rows people are unsure of are left out."
            ),
        )
        st.download_button(
            _("The list (CSV)"),
            lambda: as_csv(lines),
            "feedback.csv",
            key="said-csv",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            _("Records (JSON lines)"),
            lambda: "".join(record.model_dump_json() + "\n" for record in records),
            "feedback.jsonl",
            key="said-jsonl",
            icon=":material/download:",
            on_click="ignore",
        )
