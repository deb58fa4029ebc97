"""Words and formats of intervals: severities, kinds of events, numbers and spans."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.messages import N_
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.spec import list_series_forecasters
from core.tasks.intervals.words import KIND_LABELS, round_amount
from pages.components.i18n import _, format_percent, format_value, get_date_format
from pages.components.results.anomaly_list import SEVERITY_MARKS

SEVERITY_LABELS = {"low": N_("low"), "medium": N_("medium"), "high": N_("high"), "critical": N_("critical")}
KIND_MARKS = {"high": "▲", "low": "▼", "level_shift": "↳"}
DAILY_STEP_S = 86_400  # from this step on, times are dates


def format_severity(severity: str) -> str:
    """Return a severity as a mark and a word, so that it does not depend on colour."""
    if severity not in SEVERITY_LABELS:
        return ""
    mark = SEVERITY_MARKS[list(SEVERITY_LABELS).index(severity)]
    return f"{mark} {_(SEVERITY_LABELS[severity])}"


def ask_severities(severities: pd.Series, key: str) -> list[str]:
    """Ask for the severities to list, each with its number of events; none for all."""
    return st.pills(
        _("Severity"),
        list(reversed(SEVERITY_LABELS)),
        selection_mode="multi",
        format_func=lambda severity: (
            f"{format_severity(severity)} ({format_value(int((severities == severity).sum()))})"
        ),
        key=key,
        help=_(
            "How far outside the interval, in widths of the interval, and for how long: critical from 4 widths, "
            "high from 1.5, medium from half a width for one step."
        ),
    )


def format_kind(kind: str) -> str:
    """Return the kind of an event as a mark and words."""
    return f"{KIND_MARKS[kind]} {_(KIND_LABELS[kind])}"


def name_forecaster(name: str) -> str:
    """Return the label of a forecaster; its name where it is not installed."""
    classes = list_series_forecasters()
    return _(classes[name].label) if name in classes else name


def format_amount(value: float, unit: str = "") -> str:
    """Return an amount as text with its unit; "–" for a missing one."""
    return f"{format_value(float(round_amount(float(value))))} {unit}".strip() if math.isfinite(value) else "–"


def format_usual(row: Mapping[str, Any]) -> str:
    """Return the median and the bounds of the interval of a point or a peak, as in "286 (149 – 424)"."""
    yhat, low, high = (format_amount(row[name]) for name in ("yhat", "yhat_lower", "yhat_upper"))
    return f"{yhat} ({low} – {high})"


def format_relative(percent: float) -> str:
    """Return a relative distance in % as text; "–" where it is undefined, because the median is 0."""
    if not math.isfinite(percent):
        return "–"
    return ("+" if percent > 0 else "") + format_percent(round(float(percent) / 100, 3))


def format_span(start: pd.Timestamp, end: pd.Timestamp) -> str:
    """Return a period as text, with one date where both ends are on the same day."""
    first, last = format_value(start.to_pydatetime()), format_value(end.to_pydatetime())
    if start == end:
        return first
    return f"{first} – {end:%H:%M}" if start.date() == end.date() else f"{first} – {last}"


def choose_time_format(result: Intervals) -> str:
    """Return the pattern of times in tables: without the year where all points are of one, without hours for days."""
    times = result.rows["time"]
    date_format = get_date_format()
    if times.min().year == times.max().year:
        date_format = date_format.replace("YYYY-", "").replace("/YYYY", "")
    return date_format + (" HH:mm" if result.step_seconds < DAILY_STEP_S else "")
