"""Alarms of a forecast: amounts of the back-test outside the prediction interval."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.forecasters.scoring import quantile_name
from core.tasks.forecast.result import Forecast
from pages.components import feedback_form
from pages.components.i18n import _, date_format, percent, shown

SHOWN_ROWS = 1000


def show(found: Forecast, run: str) -> None:
    """Show the table, and the form for a verdict on the selected row."""
    st.subheader(_("Outside the interval"))
    rows, step = misses(found)
    if rows.empty:
        st.info(_("No amount of the back-test came outside its interval."))
        return
    st.caption(
        _(
            "{count} of {all} amounts came outside the interval that was forecast for them; {share} were "
            "promised to. The farthest come first. Choose one to say whether something really happened."
        ).format(
            count=shown(len(rows)),
            all=shown(int((found.checked["step"] == step).sum())),
            share=percent(round(1 - found.model_spec.quantiles[-1] + found.model_spec.quantiles[0], 4)),
        )
    )
    visible = rows.head(SHOWN_ROWS)
    picked = st.dataframe(
        visible.round(_digits(visible)).assign(verdict=feedback_form.column(run, visible)),
        hide_index=True,
        width="stretch",
        key="misses",
        on_select="rerun",
        selection_mode="single-row",
        alt=_("Outside the interval"),
        column_config=_columns(found),
    ).selection.rows
    if picked and picked[0] < len(visible):
        row = visible.iloc[picked[0]]
        feedback_form.ask("forecast", run, row[["entity", "time", "step", "score", "actual", "forecast"]].to_dict())


def misses(found: Forecast) -> tuple[pd.DataFrame, int]:
    """Return the amounts outside the interval at the smallest number of days ahead, and this number.

    `score` is the distance to the interval, in widths of the interval. The rows are sorted by `score`, highest first.
    """
    step = int(found.checked["step"].min())
    rows = found.checked[found.checked["step"] == step]
    low, high = (
        rows[quantile_name(level)] for level in (found.model_spec.quantiles[0], found.model_spec.quantiles[-1])
    )
    beyond = (rows["actual"] - high).clip(lower=0) + (low - rows["actual"]).clip(lower=0)
    table = pd.DataFrame(
        {
            "entity": rows["entity"].astype(str),
            "time": rows["time"],
            "step": step,
            "actual": rows["actual"],
            "forecast": rows["forecast"],
            "low": low,
            "high": high,
            "score": beyond / (high - low).clip(lower=1e-12),
        }
    )
    return table[beyond > 0].sort_values("score", ascending=False).reset_index(drop=True), step


def _digits(rows: pd.DataFrame) -> dict[str, int]:
    digits = 0 if rows["actual"].abs().median() >= 100 else 3
    return dict.fromkeys(("actual", "forecast", "low", "high"), digits)


def _columns(found: Forecast) -> dict[str, ColumnConfig]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    hours = "" if len(found.slots) == 1 else " HH:mm"
    unit = f" ({found.data.unit})" if found.data.unit else ""
    return {
        "verdict": feedback_form.column_config(),
        "entity": text(_("Entity")),
        "time": st.column_config.DatetimeColumn(_("Time"), format=date_format() + hours),
        "step": number(_("Days ahead"), width="small"),
        "actual": number(_("Measured") + unit, format="localized"),
        "forecast": number(_("Forecast") + unit, format="localized"),
        "low": number(_("Low end"), format="localized"),
        "high": number(_("High end"), format="localized"),
        "score": number(_("How far"), format="%.2f", help=_("Distance to the interval, in widths of the interval.")),
    }
