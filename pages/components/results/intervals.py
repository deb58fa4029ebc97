"""Result of intervals: promise and skill in words, events, what is outside now, quality of the forecast, model."""

from collections.abc import Callable, Mapping

import streamlit as st

from core.data.dataset import Dataset
from core.operations.known_events import EventSource
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.views import compute_skill, count_severities
from core.tasks.intervals.words import describe_promise
from pages.components import covariate_upload
from pages.components.i18n import _, format_percent, format_value, translate_message
from pages.components.markdown import escape_markdown
from pages.components.results import interval_events, interval_quality, model
from pages.components.results.interval_labels import format_severity, name_forecaster
from pages.components.results.run_widgets import show_cost, show_notes, show_record
from pages.components.term_help import explain
from pages.components.timeline import open_timeline

SHOWN_SEVERITIES = 2  # on the card; the filter of the list counts all


def show_intervals(result: Intervals, dataset: Dataset | None, run: str) -> None:
    """Show the result; all of its parts come from the run, so `dataset` may be None."""
    _show_metrics(result, run)
    if result.judged_rows.empty:
        st.warning(_("No point was judged. The notes below give the reason."), icon=":material/data_alert:")
    else:
        st.markdown(" ".join(map(translate_message, describe_promise(result, len(result.judged_rows)))))
        show_warnings(result)
    timeline = open_timeline(dataset, EventSource(covariate_upload.get_digest(), until=result.rows["time"].max()))
    views: dict[str, Callable[[], None]] = {
        _("Events"): lambda: interval_events.show(result, run, timeline),
        _("Outside now"): lambda: interval_quality.show_current(result),
        _("Quality"): lambda: interval_quality.show(result),
        _("Model"): lambda: model.show(run, "intervals"),
    }
    tabs = st.tabs(list(views), key="intervals-view", on_change="rerun")
    for tab, show_view in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                show_view()
    show_notes(result.notes)
    show_record(run)


def _show_metrics(result: Intervals, run: str) -> None:
    with st.container(horizontal=True, key="result-figures"):
        show_events(count_severities(result.events))
        show_alarm_rate(result)
        _show_skill(result)
        show_cost(run)


def show_events(counts: Mapping[str, int]) -> None:
    """Show the number of events, and those of the two worst severities among them. `counts` begins with the worst."""
    worst = [(format_severity(severity), count) for severity, count in counts.items() if count][:SHOWN_SEVERITIES]
    st.metric(
        _("Events"),
        format_value(sum(counts.values())),
        border=True,
        delta_color="off",
        delta_arrow="off",
        delta=" · ".join(f"{severity} {format_value(count)}" for severity, count in worst) or None,
        help=explain(
            "severity", _("Events in the judged period. A fault counts as one event, however many points it has.")
        ),
    )


def show_alarm_rate(result: Intervals | FolderIntervals) -> None:
    """Show the share of judged points outside, beside the promised one."""
    st.metric(
        _("Points outside"),
        format_rate(result.alarm_rate),
        border=True,
        delta_color="off",
        delta_arrow="off",
        delta=_("expected {rate}").format(rate=format_rate(result.promised_rate)),
        help=explain(
            "interval",
            _("Share of the judged points outside the interval, compared with the share that the interval allows."),
        ),
    )


def _show_skill(result: Intervals) -> None:
    measure = result.measures[0]
    skill = compute_skill(result, measure)
    st.metric(
        _("Skill"),
        format_percent(round(skill, 3)) if skill == skill else "–",
        border=True,
        delta_color="off",
        delta_arrow="off",
        delta=_("{measure}, against seasonal naive").format(measure=measure) if skill == skill else _("not compared"),
        help=explain(
            "skill",
            _(
                "By how much the forecasting method reduces the loss of seasonal naive (mean weighted "
                "quantile loss, at the full horizon). Below 0, it is worse than repeating the value of a "
                "week before."
            ),
        ),
    )


def format_rate(share: float, digits: int = 3) -> str:
    """Return a share as a percentage, by default with one decimal; "–" for an unknown one."""
    return format_percent(round(share, digits)) if share == share else "–"


def show_warnings(result: Intervals) -> None:
    """Warn where a forecaster is worse than seasonal naive, and where the promise is not kept."""
    for measure in result.measures:
        skill = compute_skill(result, measure)
        if skill < 0:
            st.warning(
                _(
                    "{measure}: {model} forecasts worse than seasonal naive, which repeats the value of a "
                    "week before: its loss is {share} higher. Use seasonal naive, other settings or a "
                    "longer history."
                ).format(
                    measure=escape_markdown(measure),
                    model=name_forecaster(str(result.get_scores(measure)["model"].iloc[0])),
                    share=format_percent(round(-skill, 3)),
                ),
                icon=":material/trending_down:",
            )
    low, high = result.alarm_band
    if result.alarm_rate > high:
        st.warning(
            _(
                "More points are outside than expected. Either the period has real faults, or the forecast "
                "is too confident: see Quality."
            ),
            icon=":material/trending_up:",
        )
    elif result.alarm_rate < low:
        st.info(
            _("Fewer points are outside than expected: the interval is wider than necessary."),
            icon=":material/unfold_more:",
        )
