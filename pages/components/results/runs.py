"""Runs: one run in detail, several runs compared."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from babel import numbers

from core.errors import NotFoundError, VigieError
from core.spec.metric import Metric
from core.spec.parameter_labels import get_parameter_label
from core.spec.task import find_task, get_metric
from pages.components import cache, clock, downloads
from pages.components.i18n import _, format_value, get_language, translate_message, translate_plain
from pages.components.markdown import escape_markdown, format_code
from pages.components.mlflow_links import localise_link
from pages.components.results import model
from pages.components.results.run_list import NO_VALUE, get_status_label
from pages.components.results.run_widgets import show_card_buttons, show_chart
from pages.components.run_name import format_run_name, show_rename, show_rename_note
from pages.components.task_links import get_task_label, link_run

if TYPE_CHECKING:
    from core.runs.comparison import Record, RunComparison

# ---- one run --------------------------------------------------------------------------------------------------------


def show_run(run_id: str) -> None:
    """Show the facts, links, model and metrics of a run."""
    from core.runs import comparison

    workspace = cache.get_workspace()
    [record] = comparison.load_records([run_id], workspace)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(escape_markdown(format_run_name(record)), width="content")
        show_rename(record)
    show_rename_note(record)
    facts = [
        get_task_label(record.experiment),
        get_status_label(record.status),
        clock.format_epoch_ms(record.started_ms),
        escape_markdown(record.tags.get("user", "")),
        format_code(record.id),
    ]
    st.caption(" · ".join(facts))
    if record.tags.get("error"):
        st.error(escape_markdown(record.tags["error"]), icon=":material/report:")
    with st.container(horizontal=True, vertical_alignment="center"):
        _link_result(record)
        link = localise_link(comparison.get_record_url(record, workspace))
        if link:
            st.link_button(_("Open in MLflow"), link, icon=":material/open_in_new:")
        if record.status == "completed" and find_task(record.experiment) is not None:
            downloads.show_report_button(record.id)
        show_card_buttons(record.id)
    if comparison.has_model(record):
        model.show_section(record.id, record.experiment)
    _show_tables(comparison.compare_runs([run_id], workspace))


def _link_result(record: "Record") -> None:
    """Show a link to the result of the run, or the files to load if its data are not stored."""
    from core.runs.comparison import has_data

    task = find_task(record.experiment)
    if task is None or not task.page or record.status != "completed":
        return
    if not has_data(record, cache.get_workspace()):
        files = record.tags.get("dataset.files", "")
        st.caption(
            _("The data of this run are not stored here. Load {files} again to see the result.").format(
                files=escape_markdown(files)
            )
        )
        return
    digest = record.tags["dataset.digest"]
    link_run(task, record.id, digest, _("Open the result"), icon=":material/open_in_full:")


# ---- several runs ---------------------------------------------------------------------------------------------------


def show_comparison(run_ids: list[str]) -> None:
    """Show parameters, metrics and figures of several runs side by side."""
    from core.runs.comparison import compare_runs

    try:
        runs = compare_runs(run_ids, cache.get_workspace())
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")
        return
    st.header(_("{count} runs compared").format(count=len(run_ids)))
    if not runs.same_data:
        st.warning(_("These runs use different data. Their metrics cannot be compared."), icon=":material/data_alert:")
    _show_tables(runs)
    downloads.show_csv_button(_("Comparison (CSV)"), runs.to_frame, "comparison.csv", key="comparison-CSV")
    _show_pictures(runs)


def _show_tables(runs: "RunComparison") -> None:
    names = _name_runs(runs)
    parameters, metrics = st.tabs([_("Parameters"), _("Metrics")])
    with parameters:
        _show_parameters(runs, names)
    with metrics:
        _show_metrics(runs, names)


def _name_runs(runs: "RunComparison") -> dict[str, str]:
    """Return run id → name; the first characters of the id follow a name that two runs share."""
    names = [format_run_name(record) for record in runs.records]
    return {
        record.id: name if names.count(name) == 1 else f"{name} · {record.id[:6]}"
        for record, name in zip(runs.records, names, strict=True)
    }


def _show_parameters(runs: "RunComparison", names: dict[str, str]) -> None:
    differing, has_several_runs = runs.find_differences(), len(runs.records) > 1
    table = runs.parameters
    if has_several_runs:
        only_differing = st.toggle(_("Only differences"), bool(differing.any()), key="only-differing")
        table = table[differing] if only_differing else table
        table = table.assign(**{"≠": ["≠" if differing[name] else "" for name in table.index]})[["≠", *names]]
    labels = {name: get_parameter_label(name, _get_task(runs)) for name in table.index}
    _show_table(_name_columns(table, names), labels, "parameters", _("Parameters of the runs"), _("Parameter"))


def _get_task(runs: "RunComparison") -> str:
    """Return the task of all runs; "" where they have several."""
    tasks = {record.experiment for record in runs.records}
    return tasks.pop() if len(tasks) == 1 else ""


def _show_metrics(runs: "RunComparison", names: dict[str, str]) -> None:
    """Show the metrics; on equal data, a star marks the best value of each metric with a known direction."""
    best, task = runs.find_best() if runs.same_data else None, _get_task(runs)
    table = pd.DataFrame(
        {
            run: [
                ("★ " if best is not None and best.loc[name, run] else "")
                + _format_metric(get_metric(name, task), runs.metrics.loc[name, run])
                for name in runs.metrics.index
            ]
            for run in names
        },
        index=runs.metrics.index,
    )
    if best is not None and len(names) > 1:
        st.caption(_("★ marks the best value of a metric that has a known direction."))
    labels = {name: get_metric(name, task).label for name in table.index}
    _show_table(_name_columns(table, names), labels, "metrics", _("Metrics of the runs"), _("Metric"))


def _name_columns(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Return the table with the names of the runs as headings; that of one run stands above the table."""
    return table.rename(columns=names if len(names) > 1 else dict.fromkeys(names, _("Value")))


def _show_table(table: pd.DataFrame, labels: dict[str, str], key: str, alt: str, first_column: str) -> None:
    """Show a table with the labels of its rows, each followed by the name that commands and downloads have."""
    table = table.rename(index={name: f"{_(label)} ({name})" for name, label in labels.items() if label != name})
    table = table.rename_axis(first_column).reset_index()
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key=f"compared-{key}",
        alt=alt,
        height=min(38 + 35 * max(len(table), 1), 460),
    )


def _format_metric(metric: Metric, value: float) -> str:
    if metric.is_yes_no and value == value:
        return _("yes") if value else _("no")
    return _format_number(value)


def _format_number(value: float) -> str:
    if value != value:
        return NO_VALUE
    if float(value).is_integer():
        return format_value(int(value))
    pattern = "#,##0.####" if abs(value) >= 0.001 else "0.###E0"
    return numbers.format_decimal(value, format=pattern, locale=get_language())


def _show_pictures(runs: "RunComparison") -> None:
    """Show the figure of each run card, two in a row, on one scale if they show the same data."""
    from core.runs.card import build_run_card
    from core.runs.figures import draw_thumbnail, find_common_range, to_shares

    names, pictures = _name_runs(runs), {}
    for record in runs.records:
        try:
            picture = cache.cache_by_run(build_run_card, record.id).picture
        except NotFoundError:
            picture = None
        if picture is not None:
            pictures[record.id] = to_shares(picture)
    if not pictures:
        return
    value_range = find_common_range(list(pictures.values())) if runs.same_data else None
    columns = [column for _row in range((len(pictures) + 1) // 2) for column in st.columns(2)]
    for column, (run, picture) in zip(columns, pictures.items(), strict=False):
        with column:
            st.caption(f"{escape_markdown(names[run])} · {translate_message(picture.title)}")
            show_chart(draw_thumbnail(picture, _, value_range), f"picture-{run}", translate_plain(picture.title))
