"""Alarms of a forecast, worst first: table, the selected one in words, its picture, verdict, downloads."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.messages import N_
from core.runs.renderings import Drawing
from core.tasks.forecast import figures
from core.tasks.forecast.alarm_words import describe_alarm, tabulate_alarms
from core.tasks.forecast.result import Forecast
from core.tasks.intervals.words import round_amount
from pages.components import downloads, feedback_form, url_state
from pages.components.i18n import _, format_percent, format_value, get_date_format, translate_plain
from pages.components.ranked_list import FILTER_WIDTH_PX, Card, choose_entry
from pages.components.results.interval_labels import ask_severities, format_severity
from pages.components.timeline import Timeline

MAX_SHOWN_ALARMS = 1000
ADDRESS = "alarm"
"""Name of the query parameter that holds the number of the chosen alarm."""

DETAILS = ["end", "measured", "expected", "difference", "kind"]
KIND_LABELS = {"high": N_("too high"), "low": N_("too low"), "lasting": N_("lasting")}
KIND_MARKS = {"high": "▲", "low": "▼", "lasting": "↔"}


def show(forecast: Forecast, run: str, timeline: Timeline) -> None:
    """Show the alarms and the series of the selected one; the worst one is shown where none is selected."""
    if not forecast.alarm_counts.judged:
        st.info(
            _("No measured value was compared with its forecast, so there are no alarms. The notes give the reason.")
        )
        return
    st.caption(_describe_rates(forecast))
    if forecast.alarms.empty:
        st.info(_("Nothing left its interval."), icon=":material/check:")
        _show_series(forecast, None, timeline, run)
        return
    alarms = timeline.filter_rows(_filter_alarms(forecast))
    if alarms.empty:
        st.info(_("No alarm matches these filters and the period."))
        return
    selected = _select_alarm(forecast, alarms.head(MAX_SHOWN_ALARMS), run)
    alarm = alarms.iloc[selected or 0]
    _describe_alarm(forecast, alarm)
    _show_series(forecast, alarm, timeline, run, has_focus=selected is not None or timeline.period is None)
    st.header(_("Verdict on this alarm"))
    feedback_form.ask_verdict(
        "forecast",
        run,
        {
            "entity": alarm["entity"],
            "time": alarm["start"],
            "end": alarm["end"],
            "score": alarm["score"],
            "actual": alarm["measured"],
            "forecast": alarm["expected"],
        },
    )
    _show_downloads(forecast)


def _describe_rates(forecast: Forecast) -> str:
    """Return the promised and the measured share of values outside the interval of the alarms."""
    counts, level = forecast.alarm_counts, forecast.alarm_level
    low, high = counts.compute_chance_band(level)
    return _(
        "{outside} of {judged} measured values are outside the {level} interval of their forecast ({rate}; expected "
        "{promised}, by chance {low} to {high}). Values outside that follow one another closely form one alarm. The "
        "mean of a week is judged as well."
    ).format(
        level=format_percent(level),
        outside=format_value(counts.outside),
        judged=format_value(counts.judged),
        rate=format_percent(round(counts.rate, 4)),
        promised=format_percent(round(1 - level, 4)),
        low=format_percent(round(low, 4)),
        high=format_percent(round(high, 4)),
    )


def _filter_alarms(forecast: Forecast) -> pd.DataFrame:
    alarms = forecast.alarms
    with st.container(horizontal=True, vertical_alignment="bottom", key="alarm-filters"):
        severities = ask_severities(alarms["severity"], "alarm-severity")
        kinds = st.pills(
            _("Kind"), list(KIND_LABELS), selection_mode="multi", format_func=format_kind, key="alarm-kind"
        )
        entities = st.multiselect(
            _("Entities"),
            sorted(alarms["entity"].astype(str).unique()),
            key="alarm-entities",
            placeholder=_("All"),
            width=FILTER_WIDTH_PX,
        )
    for name, values in (("severity", severities), ("kind", kinds), ("entity", entities)):
        alarms = alarms[alarms[name].isin(values)] if values else alarms
    return alarms


def format_kind(kind: str) -> str:
    """Return the kind of an alarm as a mark and words."""
    return f"{KIND_MARKS[kind]} {_(KIND_LABELS[kind])}"


# ---- table ----------------------------------------------------------------------------------------------------------


def _select_alarm(forecast: Forecast, alarms: pd.DataFrame, run: str) -> int | None:
    """Show the list; return the place of the alarm that was chosen, None until one is."""
    st.caption(
        _(
            "{count} alarm. Select it: the chart shows it, and you can give a verdict.",
            "{count} alarms, worst first. Select one: the chart shows it, and you can give a verdict.",
            len(alarms),
        ).format(count=format_value(len(alarms)))
    )
    verdicts = feedback_form.list_verdicts(run, alarms.rename(columns={"start": "time"}))
    table = build_table(forecast, alarms, verdicts)
    number = choose_entry(
        table,
        _build_column_config(forecast),
        lambda number: _build_card(table.loc[number]),
        address=ADDRESS,
        label=_("Alarms"),
        lines=4,
        details=[*DETAILS, *(["verdict"] if not any(verdicts) else [])],
    )
    return int(table.index.get_loc(number)) if url_state.get_query_param(ADDRESS) else None


def _build_card(row: pd.Series) -> Card:
    return Card(" · ".join(filter(None, [row["severity"], row["kind"], row["verdict"]])), row["words"])


def build_table(forecast: Forecast, alarms: pd.DataFrame, verdicts: list[str]) -> pd.DataFrame:
    """Return the shown columns under the numbers of the alarms, from 1 on."""
    return pd.DataFrame(
        {
            "severity": [format_severity(name) for name in alarms["severity"]],
            "entity": alarms["entity"].astype(str),
            "start": alarms["start"],
            "share": alarms["percent"] / 100,
            "words": [translate_plain(describe_alarm(alarm, forecast)) for alarm in alarms.to_dict("records")],
            "verdict": verdicts,
            "end": alarms["end"],
            "measured": alarms["measured"].map(round_amount),
            "expected": alarms["expected"].map(round_amount),
            "difference": alarms["difference"].map(round_amount),
            "kind": [format_kind(kind) for kind in alarms["kind"]],
        }
    ).set_axis(alarms["alarm"] + 1)


def _build_column_config(forecast: Forecast) -> dict[str, ColumnConfig]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    unit = f" ({forecast.data.unit})" if forecast.data.unit else ""
    times = forecast.judged["time"]
    has_times = bool((times.dt.normalize() != times).any())
    time_format = get_date_format() + (" HH:mm" if has_times else "")
    return {
        "severity": text(_("Severity"), width=84),
        "entity": text(_("Entity"), width=125),
        "start": st.column_config.DatetimeColumn(_("Start"), format=time_format, width=130 if has_times else 88),
        "end": st.column_config.DatetimeColumn(_("End"), format=time_format),
        "share": number(
            _("Difference, %"),
            width=95,
            format="percent",
            step=0.01,
            help=_("Measured − expected, in percent. Empty where 0 is expected."),
        ),
        "measured": number(
            _("Measured") + unit,
            format="localized",
            help=_("At the worst time of the alarm; the mean of its worst week where it is lasting."),
        ),
        "expected": number(_("Expected") + unit, format="localized", help=_("Forecast of the model.")),
        "difference": number(_("Difference") + unit, format="localized"),
        "kind": text(_("Kind"), width=90),
        "verdict": feedback_form.build_verdict_column(),
        "words": text(_("In words"), width=370),
    }


# ---- one alarm ------------------------------------------------------------------------------------------------------


def _describe_alarm(forecast: Forecast, alarm: pd.Series) -> None:
    """Show the alarm in words, which a narrow screen shows whole."""
    sentences = [
        _("Values outside: {outside} of {steps}.").format(
            outside=format_value(int(alarm["outside"])), steps=format_value(int(alarm["steps"]))
        )
    ]
    if alarm["kind"] == "lasting":
        sentences.append(
            _("The mean of the period is outside the forecast made before it, even without its worst day.")
        )
    if alarm["is_open"]:
        sentences.append(_("It is still going on at the end of the data."))
    with st.container(border=True, key="alarm"):
        st.text(
            f"#{int(alarm['alarm']) + 1} · {format_severity(alarm['severity'])} · {format_kind(alarm['kind'])}\n"
            f"{translate_plain(describe_alarm(alarm.to_dict(), forecast))}\n{' '.join(sentences)}"
        )


def _show_series(
    forecast: Forecast, alarm: pd.Series | None, timeline: Timeline, run: str, has_focus: bool = False
) -> None:
    """Show the judged values of the entity of an alarm, around it; of a chosen entity without an alarm."""
    if alarm is None:
        entities = sorted(forecast.judged["entity"].astype(str).unique())
        entity, span = st.selectbox(_("Entity"), entities, key="alarm-entity", persist_state="page"), None
    else:
        entity, span = str(alarm["entity"]), (alarm["start"], alarm["end"])
    timeline.show_chart(
        Drawing(run, figures.draw_judged, (forecast, entity, span, _)),
        "alarm-series",
        _("Measured values, their forecasts and the interval of the alarms"),
        entity,
        has_focus,
    )


def _show_downloads(forecast: Forecast) -> None:
    st.header(_("Export the alarms"))
    with st.container(horizontal=True):
        downloads.show_table_buttons(lambda: tabulate_alarms(forecast), "alarms", _("Alarms ({kind})"))
        downloads.show_table_buttons(forecast.build_judged_table, "judged-values", _("Judged values ({kind})"))
