"""Picture of intervals: one entity and measure, zoomed to the selected event, as is or per hour or day."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from core.tasks.intervals import figures
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.views import RESOLUTIONS, SeriesView, list_resolutions, resample_series, select_series
from pages.components import url_state
from pages.components.i18n import _
from pages.components.timeline import Timeline


def show(result: Intervals, event: pd.Series | None, selected: int | None, timeline: Timeline) -> None:
    """Show the series of `event`, the worst or the selected one; `selected` is the number of the selected event."""
    entity, measure = _ask_series(result, event, selected)
    has_selected = (
        event is not None
        and selected is not None
        and (str(event["entity"]), str(event["measure"])) == (entity, measure)
    )
    series = select_series(result, entity, measure, selected if has_selected else None)
    if series.event is None and timeline.span is not None and series.rows["time"].between(*timeline.span).any():
        series = replace(series, span=timeline.span)
    unit = result.data.unit if len(result.measures) == 1 else ""
    view, show_cleaned, is_log = _ask_view(result, series, unit)
    timeline.show_chart(
        figures.draw_series(view, unit, show_cleaned, is_log, _),
        "interval-series",
        _("Measured values, the usual value, the intervals, and the points outside of {entity}, {measure}").format(
            entity=entity, measure=measure
        ),
        entity,
        has_focus=view.event is not None,
    )
    _explain_view(view, is_log)


def _ask_series(result: Intervals, event: pd.Series | None, selected: int | None) -> tuple[str, str]:
    """Ask for the entity and the measure; those of the event, whenever another one is selected."""
    entities = [str(name) for name in result.rows["entity"].cat.categories]
    measures = list(result.measures)
    default = (entities[0], measures[0]) if event is None else (str(event["entity"]), str(event["measure"]))
    shown = url_state.get_state("interval-shown")
    is_other = shown != (result.spec.dataset, default, selected)
    for key, options, value in (("interval-entity", entities, default[0]), ("interval-measure", measures, default[1])):
        if is_other or url_state.get_state(key) not in options:
            url_state.set_state(key, value)
    url_state.set_state("interval-shown", (result.spec.dataset, default, selected))
    left, right = st.columns([3, 2])
    entity, measure = default
    if len(entities) > 1:
        entity = left.selectbox(_("Entity"), entities, key="interval-entity")
    if len(measures) > 1:
        measure = right.selectbox(_("Measure"), measures, key="interval-measure")
    return entity, measure


def _ask_view(result: Intervals, series: SeriesView, unit: str) -> tuple[SeriesView, bool, bool]:
    """Ask for the resolution, the cleaned series and the scale; return the view and the two answers."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="interval-options"):
        resolution = (
            st.segmented_control(
                _("Values"),
                list_resolutions(result),
                default="step",
                required=True,
                format_func=lambda name: _(RESOLUTIONS[name]),
                key="interval-resolution",
                help=_("Sums of counts, means of ratios and of all other measurements."),
            )
            or "step"
        )
        show_cleaned = st.toggle(
            _("Cleaned series"),
            True,
            key="interval-cleaned",
            help=_(
                "Values that the forecasting method used instead of spikes and holes. Points are judged by "
                "their original values."
            ),
        )
        is_log = st.toggle(
            _("Logarithmic scale"),
            False,
            key="interval-log",
            disabled=series.has_negative_values,
            help=_("Not possible for values below 0."),
        )
    return resample_series(series, resolution, unit), show_cleaned, is_log and not series.has_negative_values


def _explain_view(view: SeriesView, is_log: bool) -> None:
    sentences = []
    if view.event is not None:
        sentences.append(_("The chart shows the time around the event. Drag the strip below it to see the rest."))
    if not view.has_bounds:
        sentences.append(
            _(
                "Sums have no interval here: the interval of a sum is not the sum of the intervals, "
                "because errors partly cancel out. A marker shows that a point of the period is outside; "
                "its size is that of the farthest point. Periods with missing values are left out."
            )
            if view.is_summed
            else _(
                "Means have no interval here, because errors partly cancel out. A marker shows that a "
                "point of the period is outside; its size is that of the farthest point. Periods with many "
                "missing values are left out."
            )
        )
    if is_log and bool((view.rows["y"] <= 0).any()):
        sentences.append(_("Zeros are drawn at the bottom of the logarithmic scale."))
    if sentences:
        st.caption(" ".join(sentences))
