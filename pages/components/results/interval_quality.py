"""Last values beside their intervals, and the quality of the forecast beside seasonal naive and the promise."""

import math

import pandas as pd
import streamlit as st

from core.tasks.intervals import figures
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.views import compute_reliability, count_current, has_times_of_day
from core.tasks.intervals.words import round_amount
from pages.components import downloads
from pages.components.i18n import _, format_percent, format_value
from pages.components.results.interval_labels import (
    choose_time_format,
    format_relative,
    format_severity,
    format_usual,
    name_forecaster,
)
from pages.components.results.run_widgets import show_chart

MAX_SHOWN_SERIES = 5000


# ---- now ------------------------------------------------------------------------------------------------------------


def show_current(result: Intervals) -> None:
    """Show the last value of every series, worst first."""
    current = result.list_current()
    if current.empty:
        st.info(_("No point was judged."))
        return
    counts = count_current(current)
    st.markdown(
        _("**{outside} of {series} series are outside their interval** at {time}.").format(
            outside=format_value(counts.outside),
            series=format_value(counts.series),
            time=format_value(current["time"].max().to_pydatetime()),
        )
    )
    if counts.late:
        st.warning(
            _("Series without a value at that time: {count}. Their last value is shown, with its time.").format(
                count=format_value(counts.late)
            ),
            icon=":material/hourglass_disabled:",
        )
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        _build_current_table(current.head(MAX_SHOWN_SERIES), len(result.measures) > 1),
        hide_index=True,
        width="stretch",
        key="interval-current",
        alt=_("Last value of every entity with its interval"),
        column_config={
            "state": text(_("State"), width=92),
            "entity": text(_("Entity")),
            "measure": text(_("Measure"), width="small"),
            "distance": text(_("Outside by"), width=80),
            "y": number(_("Measured"), width=80, format="localized"),
            "usual": text(_("Usual (interval)"), width=150),
            "since": text(_("Since")),
            "time": st.column_config.DatetimeColumn(_("Last value"), format=choose_time_format(result)),
        },
    )
    downloads.show_csv_button(_("Last values (CSV)"), result.list_current, "now.csv", key="interval-now-CSV")


def _build_current_table(current: pd.DataFrame, has_measures: bool) -> pd.DataFrame:
    is_outside = current["anomalous"].astype(bool)
    table = pd.DataFrame(
        {
            "state": [
                (format_severity(severity) or _("outside")) if outside else _("usual")
                for severity, outside in zip(current["severity"], is_outside, strict=True)
            ],
            "entity": current["entity"].astype(str),
            "measure": current["measure"].astype(str),
            "distance": [
                format_relative(distance) if outside else ""
                for distance, outside in zip(current["rel_distance"], is_outside, strict=True)
            ],
            "y": current["y"].map(round_amount),
            "usual": [format_usual(row) for row in current.to_dict("records")],
            "since": [format_value(since.to_pydatetime()) if pd.notna(since) else "" for since in current["since"]],
            "time": current["time"],
        }
    )
    unused = [] if has_measures else ["measure"]
    return table.drop(columns=unused if is_outside.any() else [*unused, "distance", "since"])


# ---- quality --------------------------------------------------------------------------------------------------------


def show(result: Intervals) -> None:
    """Show the scores beside seasonal naive, and how well the intervals keep their promise."""
    measure = result.measures[0]
    if len(result.measures) > 1:
        measure = st.selectbox(_("Measure"), result.measures, key="interval-quality-measure")
    scores = result.get_scores(measure)
    if scores.empty:
        st.info(_("No point was judged."))
        return
    _show_scores(result, scores)
    _show_coverage(result, scores)
    _show_reliability(result, measure)
    if not result.trials.empty:
        _show_trials(result)
    if not result.clusters.empty:
        _show_clusters(result)


def _show_scores(result: Intervals, scores: pd.DataFrame) -> None:
    """Show one line per model; the better error of a column is bold."""
    st.header(_("Errors at the full horizon"))
    columns = {
        "rmse": _("RMSE"),
        result.mase_name: _("MASE (season of {steps} steps)").format(steps=format_value(result.season)),
        "mae": _("Mean absolute error"),
        "mwql": _("Mean weighted quantile loss"),
    }
    lines = [
        [
            name_forecaster(str(line["model"])),
            *(_format_error(line[name], scores[name].min() if len(scores) > 1 else math.nan) for name in columns),
            format_value(int(line["points"])),
        ]
        for line in scores.to_dict("records")
    ]
    headings = [_("Forecasting method"), *columns.values(), _("Points")]
    _show_markdown_table(headings, lines)
    if len(scores) == 1:
        st.caption(_("Seasonal naive repeats the value of one season before. No other method is compared here."))
    else:
        st.caption(
            _(
                "Lower is better. MASE compares the error with that of repeating the value of one season "
                "before: below 1, the forecast is better than this."
            )
        )


def _format_error(value: float, best: float) -> str:
    text = format_value(float(round_amount(float(value)))) if math.isfinite(value) else "–"
    return f"**{text}**" if value == best else text


def _show_coverage(result: Intervals, scores: pd.DataFrame) -> None:
    """Show promised beside measured coverage of both intervals, of every model."""
    st.header(_("Points inside: expected and measured"))
    level = format_percent(result.level)
    rows = {
        "coverage_50": (_("{level} interval").format(level=format_percent(0.5)), 0.5),
        result.coverage_name: (_("{level} interval").format(level=level), result.level),
        "coverage_ahead": (_("{level} interval, at the full horizon").format(level=level), result.level),
    }
    headings = [_("Interval"), _("Expected"), *(name_forecaster(str(name)) for name in scores["model"])]
    lines = [
        [label, format_percent(promised), *(_format_share(value) for value in scores[name])]
        for name, (label, promised) in rows.items()
        if name in scores
    ]
    _show_markdown_table(headings, lines)


def _format_share(value: float) -> str:
    return format_percent(round(float(value), 3)) if math.isfinite(value) else "–"


def _show_markdown_table(headings: list[str], lines: list[list[str]]) -> None:
    rows = [headings, ["---", *["---:"] * (len(headings) - 1)], *lines]
    st.markdown("\n".join("| " + " | ".join(cells) + " |" for cells in rows))


def _show_reliability(result: Intervals, measure: str) -> None:
    """Show the share of points outside by hour of the day and by entity."""
    labels = {"hour": _("Hour of the day"), "entity": _("Entity")}
    groupings = [
        *(["hour"] if has_times_of_day(result) else []),
        *(["entity"] if result.rows["entity"].nunique() > 1 else []),
    ]
    if not groupings:
        return
    st.header(_("Coverage by group"))
    grouping = groupings[0]
    if len(groupings) > 1:
        grouping = (
            st.segmented_control(
                _("By"),
                groupings,
                default=grouping,
                required=True,
                format_func=labels.__getitem__,
                key="interval-grouping",
            )
            or grouping
        )
    table = compute_reliability(result, measure, grouping)
    show_chart(
        figures.draw_reliability(table, result.promised_rate, grouping, _),
        "interval-reliability",
        _("Share of points outside by {group}, compared with the expected share").format(group=labels[grouping]),
    )
    sentences = [
        _("The dashed line is the expected share, {promised}. The bars show what chance alone gives.").format(
            promised=format_percent(round(result.promised_rate, 4))
        )
    ]
    if len(table) > figures.MAX_GROUPS and grouping == "entity":
        sentences.append(
            _("The {count} with the highest shares are shown.").format(count=format_value(figures.MAX_GROUPS))
        )
    st.caption(" ".join(sentences))


def _show_trials(result: Intervals) -> None:
    """Show the settings that a search tried, the best first."""
    st.header(_("Settings tried"))
    st.dataframe(
        result.trials.sort_values("mwql", kind="stable").round({"mwql": 4, "seconds": 1}),
        hide_index=True,
        width="stretch",
        key="interval-trials",
        alt=_("Settings that the search tried, with their loss"),
        column_config={
            "trial": st.column_config.NumberColumn(_("Number"), width="small"),
            "mwql": st.column_config.NumberColumn(_("Mean weighted quantile loss"), format="localized", step=0.0001),
            "seconds": st.column_config.NumberColumn(_("Seconds"), format="localized"),
        },
    )


def _show_clusters(result: Intervals) -> None:
    """Show which entities share a forest, because their weeks are alike."""
    st.header(_("Clusters of similar weeks"))
    st.caption(_("Entities of one cluster share a forest. Cluster 0 has no values to learn from."))
    clusters = result.clusters if len(result.measures) > 1 else result.clusters.drop(columns="measure")
    st.dataframe(
        clusters.sort_values(["cluster", "entity"], kind="stable"),
        hide_index=True,
        key="interval-clusters",
        alt=_("Cluster of every entity"),
        column_config={
            "measure": _("Measure"),
            "entity": _("Entity"),
            "cluster": st.column_config.NumberColumn(_("Cluster"), format="localized"),
        },
    )
