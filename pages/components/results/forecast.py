"""Result of a forecast: figures, future days, alarms, backtest, errors, intervals, importance, scenarios, model."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.messages import Message
from core.operations.known_events import EventSource
from core.runs.renderings import Drawing
from core.tasks.forecast import figures
from core.tasks.forecast.history import select_history
from core.tasks.forecast.period_words import PeriodWords, get_period_words, has_clock
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.spec import list_forecasters
from core.tasks.forecast.total import TOTAL_ENTITY, list_summable_entities, sum_entities
from pages.components import url_state
from pages.components.i18n import _, format_percent, format_value, get_date_format, translate_plain
from pages.components.results import forecast_alarms, forecast_evaluation, model, what_if
from pages.components.results.forecast_evaluation import EntitySelector
from pages.components.results.run_widgets import show_chart, show_cost, show_downloads, show_notes, show_record
from pages.components.term_help import explain
from pages.components.timeline import Timeline, open_timeline


def show_forecast(forecast: Forecast, dataset: Dataset | None, run: str) -> None:
    """Show the result; `dataset` has the selected rows, None if they are not loaded."""
    _show_metrics(forecast, run)
    show_notes(forecast.notes)
    select_entity = partial(select_part, forecast, run)
    timeline = _open_timeline(forecast, dataset)
    views: dict[str, Callable[[], None]] = {
        _("Forecast"): lambda: _show_future_days(forecast, select_entity, dataset, timeline, run),
        _("Alarms"): lambda: forecast_alarms.show(forecast, run, timeline),
        _("Backtest"): lambda: forecast_evaluation.show_backtest(forecast, select_entity, timeline, run),
        _("Errors"): lambda: forecast_evaluation.show_errors(forecast, select_entity, run),
        _("Intervals"): lambda: forecast_evaluation.show_intervals(forecast, dataset, run),
        _("Influences"): lambda: _show_influences(forecast, run),
        _("Scenarios"): lambda: what_if.show(forecast, run, timeline),
        _("Model"): lambda: model.show(run, "forecast"),
    }
    has_scenario = url_state.get_or_set_state(f"has scenario of {run}", bool(what_if.find_asked_key()))
    first_view = _("Scenarios") if has_scenario else next(iter(views))
    tabs = st.tabs(list(views), default=first_view, key="forecast-view", on_change="rerun")
    for tab, draw in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                draw()
    show_downloads(forecast.to_frame, "forecast", _("The forecast ({kind})"))
    show_record(run)


def _open_timeline(forecast: Forecast, dataset: Dataset | None) -> Timeline:
    """Return the timeline with the calendar and the covariates that the forecast knows."""
    model_spec = forecast.model_spec
    source = EventSource(
        forecast.covariate_digest, model_spec.calendar, model_spec.places, pd.Timestamp(forecast.rows["time"].max())
    )
    return open_timeline(dataset, source)


def _show_metrics(forecast: Forecast, run: str) -> None:
    scores = forecast.get_step_scores().set_index("step")
    horizon = forecast.model_spec.horizon_periods
    with st.container(horizontal=True, key="result-figures"):
        for step in sorted({1, horizon}):
            _show_error(step, scores.loc[step], get_period_words(forecast.frequency))
        nominal_coverage = forecast.model_spec.quantiles[-1] - forecast.model_spec.quantiles[0]
        st.metric(
            _("Coverage"),
            format_percent(round(forecast_evaluation.measure_coverage(forecast), 4)),
            border=True,
            delta_color="off",
            delta_arrow="off",
            delta=_("nominal {level}").format(level=format_percent(round(nominal_coverage, 4))),
            help=explain("coverage", _("Share of measured amounts inside the interval, over the whole backtest.")),
        )
        st.metric(_("Entities"), format_value(forecast.rows["entity"].nunique()), border=True)
        show_cost(run)


def _show_error(step: int, scores: pd.Series, words: PeriodWords) -> None:
    """Show the error so many periods ahead, compared with the better naive forecast."""
    naive = min(scores["wape_naive1"], scores["wape_naive7"])
    st.metric(
        _(words.metric).format(step=step),
        format_percent(round(float(scores["wape"]), 4)),
        border=True,
        delta_color="off",
        delta_arrow="off",
        delta=_("naive {error}").format(error=format_percent(round(float(naive), 4))),
        help=explain(
            "wape",
            _(
                "Sum of the absolute errors divided by the sum of the amounts. The naive error is the lower one of two "
                "naive forecasts: {last} and {season}."
            ).format(last=_(words.last_known), season=_(words.season_before)),
        ),
    )


# ---- one entity, or the sum -----------------------------------------------------------------------------------------


def select_part(forecast: Forecast, run: str, entity: str) -> Forecast:
    """Return the part of `forecast` about `entity`, or about the sum of all entities."""
    if entity == TOTAL_ENTITY:
        return _compute_total(run, forecast)
    rows, backtest_rows = (table[table["entity"] == entity] for table in (forecast.rows, forecast.checked))
    return replace(forecast, rows=rows, checked=backtest_rows)


@st.cache_resource(max_entries=8, show_spinner=False)
def _compute_total(run: str, _found: Forecast) -> Forecast:
    return sum_entities(_found)


# ---- future days ----------------------------------------------------------------------------------------------------


def _show_future_days(
    forecast: Forecast, select_entity: EntitySelector, dataset: Dataset | None, timeline: Timeline, run: str
) -> None:
    entity = forecast_evaluation.ask_entity(forecast, "ahead")
    part = select_entity(entity)
    rows = part.rows[part.rows["forecast"].notna()]
    if rows.empty:
        st.info(_("There is no forecast for this entity. Its data end too long before those of the other entities."))
        return
    entities = (
        list_summable_entities(forecast) if rows["entity"].iloc[0] == TOTAL_ENTITY else [str(rows["entity"].iloc[0])]
    )
    start = None if timeline.period is None else timeline.period.start
    history = select_history(part, dataset, entities, start)
    figure = Drawing(run, figures.draw_forecast, (rows, history, forecast, _))
    alt = _("Measured amounts, the forecast with its interval, and the seasonal naive forecast")
    timeline.show_chart(figure, "ahead", alt, "" if entity == TOTAL_ENTITY else entity)
    if len(entities) > 1:
        st.caption(
            _(
                "Sum of the {count} entities (of {all}) that have a forecast. The interval "
                "comes from the errors of the sum in the backtest, because the errors of the "
                "entities partly cancel out."
            ).format(count=format_value(len(entities)), all=format_value(forecast.rows["entity"].nunique()))
        )
    _show_table(rows, forecast)


def _show_table(rows: pd.DataFrame, forecast: Forecast) -> None:
    quantiles = [column for column in rows if column.startswith("q")]
    low, high = quantiles[0], quantiles[-1]
    digits = 0 if rows["forecast"].abs().median() >= 100 else 3
    table = rows[["time", "step", "forecast", low, high, "naive7"]].round(digits)
    if rows["assumed"].any():
        table["assumed"] = ["◇" if assumed else "" for assumed in rows["assumed"]]
    unit = figures.label_amount_axis(forecast, _)
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="forecast-rows",
        alt=_("The forecast as a table"),
        column_config={
            "time": st.column_config.DatetimeColumn(
                _("Time"),
                format=get_date_format() + (" HH:mm" if has_clock(forecast.frequency, forecast.slots) else ""),
            ),
            "step": number(_(get_period_words(forecast.frequency).ahead_title), width="small"),
            "forecast": number(f"{_('Forecast')} ({unit})", format="localized"),
            low: number(
                _("Lower bound"), format="localized", help=figures.name_interval(forecast.model_spec.quantiles, _)
            ),
            high: number(
                _("Upper bound"), format="localized", help=figures.name_interval(forecast.model_spec.quantiles, _)
            ),
            "naive7": number(_(get_period_words(forecast.frequency).season_title), format="localized"),
            "assumed": st.column_config.TextColumn(
                _("Assumed"),
                width="small",
                help=_("◇: a covariate is missing for this day. Its usual value for the date is used."),
            ),
        },
    )


# ---- importance and effects -----------------------------------------------------------------------------------------


def _show_influences(forecast: Forecast, run: str) -> None:
    if not forecast.candidates.empty:
        st.header(_("Compared forecasting methods"))
        _show_candidates(forecast.candidates)
    st.header(_("Feature importance"))
    if forecast.importance.empty:
        st.caption(_("This forecasting method has no features to permute."))
    else:
        show_chart(
            Drawing(run, figures.draw_importance, (forecast.importance, _)),
            "importance",
            _("Importance of groups of features"),
        )
        st.caption(
            _(
                "Increase of the backtest error when the values of one group are permuted "
                "between days. Groups with the same information share their importance."
            )
        )
    st.header(_("Effect of strikes"))
    _show_effects(forecast.effects, run)
    st.header(_("Response to temperature and strikes"))
    _show_response(forecast, run)


def _show_candidates(table: pd.DataFrame) -> None:
    """Show error and weight of every candidate, one pair of columns per group of periods ahead."""
    labels = {name: _(cls.label) for name, cls in list_forecasters().items()}
    rows: dict[str, dict[str, object]] = {}
    for row in table.itertuples():
        name, _space, season = str(row.candidate).partition(" ")
        label = f"{labels.get(name, name)} ({season})" if season else labels.get(name, name)
        steps = f"{row.first_step}" if row.first_step == row.last_step else f"{row.first_step}–{row.last_step}"
        cells = rows.setdefault(label, {})
        if row.reason:
            cells[_("Not compared because")] = translate_plain(Message.load(str(row.reason)))
        else:
            cells[_("WAPE, {steps} ahead").format(steps=steps)] = format_percent(round(float(row.wape), 4))
            cells[_("Weight, {steps} ahead").format(steps=steps)] = format_percent(round(float(row.weight), 2))
    st.dataframe(pd.DataFrame.from_dict(rows, orient="index").fillna(""), width="stretch", key="forecast-candidates")
    st.caption(
        _(
            "Every forecasting method was trained on the first part of the training data and forecast the "
            "last part. The weights of the blend come from these errors; the test data were not used for "
            "them."
        )
    )


def _show_response(forecast: Forecast, run: str) -> None:
    if forecast.response["shift"].nunique() < 2:
        st.caption(_("The model does not use the temperature. Add a weather file to the covariates."))
        return
    unit = forecast.data.unit
    show_chart(
        Drawing(run, figures.draw_response, (forecast.response, unit, _)), "response", _("Amount by temperature shift")
    )
    st.caption(
        _(
            "Forecast amount of all entities over the horizon, if every day is warmer or "
            "colder by this number of degrees, with and without a strike."
        )
    )


def _show_effects(table: pd.DataFrame, run: str) -> None:
    if table.empty:
        st.caption(
            _("No strikes are known, or too few to estimate their effect. Add a file of strikes to the covariates.")
        )
        return
    show_chart(
        Drawing(run, figures.draw_effects, (table, _)),
        "effects",
        _("Effect of strikes by three methods, with 95 % intervals"),
    )
    effect_by_method = table.set_index("method")
    raw_effect, adjusted_effect = effect_by_method.loc["raw"], effect_by_method.iloc[-1]
    st.markdown(
        _(
            "The raw difference between days with and without a strike is {raw}. It includes "
            "the effect of the season. {rest}"
        ).format(
            raw=_format_change(raw_effect["change"]),
            rest=_describe_effect(adjusted_effect, weather="weather" in str(adjusted_effect.name)),
        )
    )
    st.caption(
        _(
            "Days with a strike: {days}, in {episodes} episodes. The intervals come from a "
            "bootstrap over whole episodes."
        ).format(
            days=format_value(int(adjusted_effect["days"])), episodes=format_value(int(adjusted_effect["episodes"]))
        )
    )


def _describe_effect(effect: pd.Series, weather: bool) -> str:
    """Return the effect of strikes compared with similar days, and whether it is significant."""
    values = {
        "change": _format_change(effect["change"]),
        "low": _format_change(effect["low"]),
        "high": _format_change(effect["high"]),
    }
    template = (
        _("Compared with similar days and corrected for the weather, the effect is {change}")
        if weather
        else _("Compared with similar days, the effect is {change}")
    )
    is_significant = effect["low"] * effect["high"] > 0
    interval_text = (
        _("(95 % interval: {low} to {high}).")
        if is_significant
        else _("(95 % interval: {low} to {high}) and not significant.")
    )
    return f"{template} {interval_text}".format(**values)


def _format_change(share: float) -> str:
    return ("+" if share > 0 else "") + format_percent(round(float(share), 3))
