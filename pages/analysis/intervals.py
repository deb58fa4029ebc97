"""Page of the intervals task: what leaves its calibrated interval, worst first."""

from typing import Any

import streamlit as st

from core.data.dataset import Dataset
from core.data.regular_series import choose_default_measure
from core.runs.stored_runs import load_task_result
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.result import Intervals
from pages.components import cache, task_page, url_state
from pages.components.i18n import _
from pages.components.results import interval_folder, intervals
from pages.components.task_links import ANALYSIS_FOLDER, show_missing_dates

THRESHOLD_KINDS = ("auto", "none", "number")


def page() -> None:
    """Show the form and the result."""
    task, dataset = task_page.open_page("intervals")
    if dataset is None:
        result = cache.load_result(task.name, load_task_result)
        if isinstance(result, FolderIntervals):
            show_result(result, None, url_state.get_run_id())
            return
        st.caption(
            _(
                "This page judges regular series: counts of calls per quarter-hour and trunk, or any other "
                "measurement at even steps. Four weeks or more give the best intervals, two are enough for a day ahead."
            )
        )
        st.page_link(
            ANALYSIS_FOLDER / "call_records.py",
            label=_("Count call records, or try two weeks of generated calls"),
            icon=":material/call:",
        )
        return
    if not dataset.has_dates:
        show_missing_dates(dataset.digest, "anomalies", "sequences")
        return
    task_page.ask_and_show(
        task,
        dataset,
        show_result,
        widgets=_IntervalsForm().widgets,
        describe_model=lambda record: " · ".join(
            filter(None, [record.params.get("forecaster"), record.params.get("value")])
        ),
    )


def show_result(result: Intervals | FolderIntervals, dataset: Dataset | None, run: str) -> None:
    """Show the result of one dataset, or that of a folder, which needs no data."""
    if isinstance(result, FolderIntervals):
        interval_folder.show_folder(result, run)
    else:
        intervals.show_intervals(result, dataset, run)


class _IntervalsForm:
    """Widgets that depend on the columns of the data, and on each other."""

    measures: tuple[str, ...] = ()

    @property
    def widgets(self) -> dict[str, Any]:
        """Field of the spec → widget, in the order of the form."""
        return {"value": self.ask_measures, "attempts": self.ask_attempts, "spike_threshold": _ask_spike_threshold}

    def ask_measures(self, dataset: Dataset) -> tuple[str, ...]:
        """Ask for the columns to watch; () for the only one."""
        columns = list_columns(dataset)
        default = choose_default_measure(columns)
        if len(columns) == 1:
            st.text_input(_("Measures"), columns[0], disabled=True, key="intervals-only-value")
            return ()
        self.measures = tuple(
            st.multiselect(
                _("Measures"),
                columns,
                [default],
                placeholder=default,
                key="intervals-value",
                help=_("Every measure has its own forecast, intervals and events."),
                persist_state="page",
            )
        )
        return self.measures

    def ask_attempts(self, dataset: Dataset) -> str:
        """Ask for the number of events behind a ratio; "" for the usual column."""
        is_possible = len(self.measures) == 1 and not dataset.profile
        options = ["", *(name for name in list_columns(dataset) if name not in self.measures)]
        return st.selectbox(
            _("Attempts behind the ratio"),
            options if is_possible else [""],
            format_func=lambda name: name or _("automatic"),
            key="intervals-attempts",
            disabled=not is_possible,
            help=_(
                "Column with the number of events behind a ratio: the fewer there are, the wider the "
                "interval. Automatic: total for ccr. It can be chosen for one measure at a time."
            ),
            persist_state="page",
        )


def list_columns(dataset: Dataset) -> list[str]:
    """Return the columns that can be watched; the times of a daily profile are one series."""
    return ["value"] if dataset.profile else list(dataset.columns)


def _ask_spike_threshold(dataset: Dataset) -> str | float:
    labels = {"auto": _("learnt from the data"), "none": _("none: keep spikes"), "number": _("a number")}
    kind = st.selectbox(
        _("Spike threshold"),
        THRESHOLD_KINDS,
        format_func=labels.__getitem__,
        key="intervals-spike_threshold",
        help=_(
            "Values farther from the rolling median are hidden from the forecasting method. All points are "
            "judged by their original values."
        ),
        persist_state="page",
    )
    if kind != "number":
        return kind
    return st.number_input(
        _("Distance from the rolling median"),
        0.0,
        value=7000.0,
        format="%g",
        key="intervals-spike_distance",
        persist_state="page",
    )


page()
