"""Evaluation of a forecast: backtest, errors by group, and coverage of the intervals."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from core.data.dataset import DAY, Dataset
from core.data.frequencies import get_step
from core.runs.renderings import Drawing
from core.spec.task import get_task
from core.tasks.forecast import error_figures as figures
from core.tasks.forecast import figures as forecasts
from core.tasks.forecast.period_words import PeriodWords, get_period_words, has_clock
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.total import TOTAL_ENTITY
from pages.components import task_page, url_state
from pages.components.i18n import _, format_value
from pages.components.results.run_widgets import show_chart, show_downloads
from pages.components.timeline import Timeline

SCORE_COLUMNS = (
    "wape",
    "wape_naive1",
    "wape_naive7",
    "mae",
    "rmse",
    "mase",
    "r2",
    "quantile_loss",
    "mwql",
    "coverage",
    "width",
)
MAIN_COLUMNS = ("wape", "wape_naive1", "wape_naive7", "mae", "mase", "coverage")
PERCENT_COLUMNS = ("wape", "wape_naive1", "wape_naive7", "quantile_loss", "mwql", "coverage", "width")
EntitySelector = Callable[[str], Forecast]


def measure_coverage(forecast: Forecast) -> float:
    """Return the measured coverage of the outermost quantiles over the whole backtest, as a share 0–1."""
    totals = forecast.scores[(forecast.scores["entity"] == "") & (forecast.scores["step"] == 0)]
    return float(totals["coverage"].iloc[0])


def ask_entity(forecast: Forecast, key: str) -> str:
    """Return the selected entity of a figure; TOGETHER for the sum of all."""
    entities = sorted(forecast.rows["entity"].astype(str).unique())
    return st.selectbox(
        _("Entity"),
        [TOTAL_ENTITY, *entities] if len(entities) > 1 else entities,
        key=f"{key}-entity",
        persist_state="page",
        format_func=lambda entity: entity or _("All entities together"),
    )


def ask_entity_and_step(forecast: Forecast, key: str) -> tuple[str, int]:
    """Return the selected entity and number of days ahead."""
    left, right = st.columns([3, 1])
    with left:
        entity = ask_entity(forecast, key)
    steps = sorted(int(step) for step in forecast.checked["step"].unique())
    words = get_period_words(forecast.frequency)
    return entity, right.selectbox(_(words.ahead_title), steps, key=f"{key}-step", persist_state="page")


# ---- backtest ------------------------------------------------------------------------------------------------------


def show_backtest(forecast: Forecast, select_entity: EntitySelector, timeline: Timeline, run: str) -> None:
    """Show the scores of the backtest by days ahead and by entity, and the forecasts day by day."""
    steps, words = forecast.get_step_scores(), get_period_words(forecast.frequency)
    show_chart(
        Drawing(run, figures.draw_step_errors, (steps, _, words)),
        "per-step",
        _("Error by days ahead, compared with two naive forecasts"),
    )
    st.caption(_("Each day of the backtest is forecast with the data known that many days before."))
    _show_scores(steps.drop(columns="days"), "step", "scores-per-step", words)
    st.header(_("By entity"))
    step = st.selectbox(
        _(words.ahead_title),
        [0, *steps["step"]],
        key="entities-step",
        persist_state="page",
        format_func=lambda days: format_value(int(days)) if days else _("all"),
    )
    entities = forecast.scores[(forecast.scores["step"] == step) & (forecast.scores["entity"] != "")]
    _show_scores(entities.sort_values("wape", ascending=False), "entity", "scores-per-entity", words)
    st.header(_("Day by day") if forecast.frequency == "D" else _("Period by period"))
    entity, step = ask_entity_and_step(forecast, "compared")
    rows = select_entity(entity).checked
    rows = timeline.select_times(rows[rows["step"] == step])
    if rows.empty:
        st.info(_("No day of the backtest has both a forecast and a measured amount."))
        return
    timeline.show_chart(
        Drawing(run, forecasts.draw_backtest, (rows, forecast, _)),
        "compared",
        _("Forecast and measured amounts over the backtest"),
        "" if entity == TOTAL_ENTITY else entity,
    )
    show_downloads(lambda: _export_backtest(forecast), "backtest", _("The backtest ({kind})"))


def _show_scores(table: pd.DataFrame, first_column: str, key: str, words: PeriodWords) -> None:
    """Show one row of scores per number of periods ahead or per entity; shares are in percent.

    The main scores fit a page; the others are shown on demand.
    """
    names = [name for name in SCORE_COLUMNS if name in table]
    rows = table[[first_column, *names]].assign(
        **{name: 100 * table[name] for name in PERCENT_COLUMNS if name in table}
    )
    number = st.column_config.NumberColumn
    labels = {
        "wape": "WAPE, %",
        "wape_naive1": _("WAPE, {naive}, %").format(naive=_(words.last_known)),
        "wape_naive7": _("WAPE, {naive}, %").format(naive=_(words.season_before)),
        "mae": "MAE",
        "rmse": "RMSE",
        "mase": "MASE",
        "r2": "R²",
        "quantile_loss": _("Quantile loss, %"),
        "mwql": _("Quantile loss of the deciles, %"),
        "coverage": _("Coverage, %"),
        "width": _("Interval width, %"),
    }
    metric_config = {name: number(labels[name], format="localized") for name in names}
    digits = {name: 0 if name in ("mae", "rmse") and rows[name].median() >= 100 else 2 for name in names} | {
        "r2": 4,
        "mase": 3,
    }
    has_details = bool(url_state.get_state(f"{key}-details", False))
    st.dataframe(
        rows.round(digits),
        hide_index=True,
        width="stretch",
        key=key,
        alt=_("Metrics of the backtest"),
        column_order=[first_column, *(name for name in names if has_details or name in MAIN_COLUMNS)],
        column_config={
            "step": number(_(words.ahead_title), width="small"),
            "entity": st.column_config.TextColumn(_("Entity")),
            **metric_config,
        },
    )
    st.toggle(_("Details"), key=f"{key}-details", persist_state="page")


def _export_backtest(forecast: Forecast) -> pd.DataFrame:
    return forecast.checked.assign(entity=forecast.checked["entity"].astype(str), unit=forecast.data.unit)


# ---- errors ---------------------------------------------------------------------------------------------------------


def show_errors(forecast: Forecast, select_entity: EntitySelector, run: str) -> None:
    """Show the errors of an entity by weekday, month, temperature or hour."""
    entity, step = ask_entity_and_step(forecast, "errors")
    rows = select_entity(entity).checked
    rows = rows[rows["step"] == step]
    group_labels = {
        "weekday": _("Weekday"),
        "month": _("Month"),
        "temperature": _("Temperature"),
        "hour": _("Time of day"),
    }
    if "temperature" not in rows or rows["temperature"].isna().all():
        del group_labels["temperature"]
    if not has_clock(forecast.frequency, forecast.slots):
        del group_labels["hour"]
    if get_step(forecast.frequency) > DAY:
        del group_labels["weekday"]
    group = st.segmented_control(
        _("By"),
        list(group_labels),
        default=next(iter(group_labels)),
        required=True,
        format_func=group_labels.__getitem__,
        key="errors-by",
        persist_state="page",
    )
    show_chart(
        Drawing(run, figures.draw_residuals, (rows, group or next(iter(group_labels)), _)),
        "residuals",
        _("Errors of the backtest by group"),
    )
    st.caption(
        _(
            "Boxes contain the middle 50 % of the errors, whiskers 90 %. Above zero, the "
            "measured amount exceeds the forecast. Groups of fewer than {least} errors are "
            "left out."
        ).format(least=figures.MIN_GROUP_ERRORS)
    )


# ---- intervals ------------------------------------------------------------------------------------------------------


def show_intervals(forecast: Forecast, dataset: Dataset | None, run: str) -> None:
    """Show nominal and measured coverage."""
    levels = forecast.reliability["nominal"].unique()
    nominal_coverage = forecast.model_spec.quantiles[-1] - forecast.model_spec.quantiles[0]
    level = float(levels[np.abs(levels - nominal_coverage).argmin()])
    show_chart(
        Drawing(run, figures.draw_reliability, (forecast.reliability, _)),
        "reliability",
        _("Nominal and measured coverage"),
    )
    st.caption(
        _(
            "Below the dotted line the intervals are too narrow, above it too wide. The band "
            "assumes that all days and entities are independent. Entities share the weather, "
            "so larger deviations can also be random."
        )
    )
    st.header(_("Coverage of the {level} % interval").format(level=f"{100 * level:g}"))
    group_labels = {"month": _("Month"), "entity": _("Entity"), "weekday": _("Weekday"), "hour": _("Time of day")}
    if not has_clock(forecast.frequency, forecast.slots):
        del group_labels["hour"]
    if get_step(forecast.frequency) > DAY:
        del group_labels["weekday"]
    group = st.segmented_control(
        _("By"),
        list(group_labels),
        default="month",
        required=True,
        format_func=group_labels.__getitem__,
        key="coverage-by",
        persist_state="page",
    )
    figure = Drawing(run, figures.draw_coverage, (forecast.reliability, group or "month", level, _))
    show_chart(figure, "coverage", _("Measured coverage by group, compared with the nominal coverage"))
    _show_recalibration(dataset, run)


def _show_recalibration(dataset: Dataset | None, run: str) -> None:
    st.caption(
        _(
            "Recalibration uses the first half of the backtest to choose the past errors for "
            "the intervals, and how far they adapt. The choice is kept only if it improves the second half. "
            "The new run has the same forecasts."
        )
    )
    if st.button(_("Recalibrate"), icon=":material/straighten:", key="recalibrate", disabled=dataset is None):
        from core.tasks.forecast.spec import RecalibrationSpec

        task_page.submit_spec(get_task("forecast"), RecalibrationSpec(dataset=url_state.get_dataset_digest(), run=run))
