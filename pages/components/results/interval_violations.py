"""Alarms of a forecast: amounts of the backtest outside the prediction interval."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.forecasters.backtest_report import format_quantile_name
from core.tasks.forecast.result import Forecast
from pages.components import feedback_form
from pages.components.i18n import _, format_percent, format_value, get_date_format

MAX_SHOWN_ROWS = 1000


def show(forecast: Forecast, run: str) -> None:
    """Show the table, and the form for a verdict on the selected row."""
    st.subheader(_("Outside the interval"))
    rows, step = list_violations(forecast)
    if rows.empty:
        st.info(_("No amount of the backtest is outside its interval."))
        return
    st.caption(
        _(
            "Amounts outside their prediction interval: {count} of {all} (nominal share: "
            "{share}). The largest distances come first. Select a row to give a verdict."
        ).format(
            count=format_value(len(rows)),
            all=format_value(int((forecast.checked["step"] == step).sum())),
            share=format_percent(round(1 - forecast.model_spec.quantiles[-1] + forecast.model_spec.quantiles[0], 4)),
        )
    )
    visible = rows.head(MAX_SHOWN_ROWS)
    selected_rows = st.dataframe(
        visible.round(_choose_digits(visible)).assign(verdict=feedback_form.list_verdicts(run, visible)),
        hide_index=True,
        width="stretch",
        key="misses",
        on_select="rerun",
        selection_mode="single-row",
        alt=_("Outside the interval"),
        column_config=_build_column_config(forecast),
    ).selection.rows
    if selected_rows and selected_rows[0] < len(visible):
        row = visible.iloc[selected_rows[0]]
        feedback_form.ask_verdict(
            "forecast", run, row[["entity", "time", "step", "score", "actual", "forecast"]].to_dict()
        )


def list_violations(forecast: Forecast) -> tuple[pd.DataFrame, int]:
    """Return the amounts outside the interval at the smallest number of days ahead, and this number.

    `score` is the distance to the interval, in widths of the interval. The rows are sorted by `score`, highest first.
    """
    step = int(forecast.checked["step"].min())
    rows = forecast.checked[forecast.checked["step"] == step]
    low, high = (
        rows[format_quantile_name(level)]
        for level in (forecast.model_spec.quantiles[0], forecast.model_spec.quantiles[-1])
    )
    excess = (rows["actual"] - high).clip(lower=0) + (low - rows["actual"]).clip(lower=0)
    table = pd.DataFrame(
        {
            "entity": rows["entity"].astype(str),
            "time": rows["time"],
            "step": step,
            "actual": rows["actual"],
            "forecast": rows["forecast"],
            "low": low,
            "high": high,
            "score": excess / (high - low).clip(lower=1e-12),
        }
    )
    return table[excess > 0].sort_values("score", ascending=False).reset_index(drop=True), step


def _choose_digits(rows: pd.DataFrame) -> dict[str, int]:
    digits = 0 if rows["actual"].abs().median() >= 100 else 3
    return dict.fromkeys(("actual", "forecast", "low", "high"), digits)


def _build_column_config(forecast: Forecast) -> dict[str, ColumnConfig]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    time_suffix = "" if len(forecast.slots) == 1 else " HH:mm"
    unit = f" ({forecast.data.unit})" if forecast.data.unit else ""
    return {
        "verdict": feedback_form.build_verdict_column(),
        "entity": text(_("Entity")),
        "time": st.column_config.DatetimeColumn(_("Time"), format=get_date_format() + time_suffix),
        "step": number(_("Days ahead"), width="small"),
        "actual": number(_("Measured") + unit, format="localized"),
        "forecast": number(_("Forecast") + unit, format="localized"),
        "low": number(_("Lower bound"), format="localized"),
        "high": number(_("Upper bound"), format="localized"),
        "score": number(_("Distance"), format="%.2f", help=_("Distance to the interval, in widths of the interval.")),
    }
