"""Result of a forecast: figures, future days, back-test, errors, intervals, importance, scenarios, model."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.data.panel import Panel
from core.forecasters.tables import table_of
from core.tasks.forecast import figures as figures
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.total import TOGETHER, summable, total
from pages.components.i18n import _, date_format, percent, say, shown
from pages.components.results import forecast_evaluation as trust
from pages.components.results import interval_violations, model, what_if
from pages.components.results.run_widgets import chart, cost, downloads, record

BEFORE = {True: 60, False: 14}  # days of history; True for daily amounts, False for times of the day
Chosen = Callable[[str], Forecast]


def forecast(found: Forecast, dataset: Dataset | None, run: str) -> None:
    """Show the result; `dataset` has the selected rows, None if they are not loaded."""
    _figures(found, run)
    st.caption("\n".join(f"- {say(text)}" for text in found.notes))
    chosen = partial(one, found, run)
    views: dict[str, Callable[[], None]] = {
        _("Forecast"): lambda: _ahead(found, chosen, dataset),
        _("Back-test"): lambda: _checked(found, chosen, run),
        _("Errors"): lambda: trust.errors(found, chosen),
        _("Intervals"): lambda: trust.intervals(found, dataset, run),
        _("What matters"): lambda: _matters(found),
        _("What if"): lambda: what_if.show(found, run),
        _("Model"): lambda: model.show(run, "forecast"),
    }
    tabs = st.tabs(list(views), key="forecast-view", on_change="rerun")
    for tab, draw in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                draw()
    downloads(found.to_frame, "forecast", _("The forecast ({kind})"))
    record(run)


def _figures(found: Forecast, run: str) -> None:
    scores = found.per_step().set_index("step")
    horizon = found.model_spec.horizon
    with st.container(horizontal=True, key="result-figures"):
        for step in sorted({1, horizon}):
            _error(step, scores.loc[step])
        promised = found.model_spec.quantiles[-1] - found.model_spec.quantiles[0]
        st.metric(
            _("Coverage"),
            percent(round(trust.covered(found), 4)),
            border=True,
            delta_color="off",
            delta_arrow="off",
            delta=_("promised {level}").format(level=percent(round(promised, 4))),
            help=_("How often the amount that came lay inside the interval, over the whole back-test."),
        )
        st.metric(_("Entities"), shown(found.rows["entity"].nunique()), border=True)
        cost(run)


def _error(step: int, scores: pd.Series) -> None:
    """Show the error so many days ahead, compared with the better naive forecast."""
    naive = min(scores["wape_naive1"], scores["wape_naive7"])
    st.metric(
        _("WAPE, day {step}").format(step=step),
        percent(round(float(scores["wape"]), 4)),
        border=True,
        delta_color="off",
        delta_arrow="off",
        delta=_("naive {error}").format(error=percent(round(float(naive), 4))),
        help=_(
            "So many days ahead: sum of absolute errors over sum of amounts. Naive is the better of two: the "
            "last known day, and the same weekday before."
        ),
    )


# ---- one entity, or the sum -----------------------------------------------------------------------------------------


def one(found: Forecast, run: str, entity: str) -> Forecast:
    """Return the part of `found` about `entity`, or about the sum of all entities."""
    if entity == TOGETHER:
        return _total(run, found)
    rows, checked = (table[table["entity"] == entity] for table in (found.rows, found.checked))
    return replace(found, rows=rows, checked=checked)


@st.cache_resource(max_entries=8, show_spinner=False)
def _total(run: str, _found: Forecast) -> Forecast:
    return total(_found)


# ---- future days ----------------------------------------------------------------------------------------------------


def _ahead(found: Forecast, chosen: Chosen, dataset: Dataset | None) -> None:
    mine = chosen(trust.entity_of(found, "ahead"))
    rows = mine.rows[mine.rows["forecast"].notna()]
    if rows.empty:
        st.info(_("There is no forecast for this entity: its data end too long before the others'."))
        return
    entities = summable(found) if rows["entity"].iloc[0] == TOGETHER else [str(rows["entity"].iloc[0])]
    figure = figures.ahead(rows, _history(mine, dataset, entities), found, _)
    chart(figure, "ahead", _("Measured amounts, the forecast with its interval, and the seasonal naive forecast"))
    if len(entities) > 1:
        st.caption(
            _(
                "The sum of {count} entities of {all}, those that have a forecast. Its interval comes from "
                "the errors of the sums in the back-test: entities do not err all at once."
            ).format(count=shown(len(entities)), all=shown(found.rows["entity"].nunique()))
        )
    _table(rows, found)


def _history(mine: Forecast, dataset: Dataset | None, entities: list[str]) -> pd.DataFrame:
    """Return time and actual of the last days of `entities`, summed: from the data, else from the back-test."""
    days = pd.Timedelta(days=BEFORE[len(mine.slots) == 1])
    if dataset is None:
        table = mine.checked[mine.checked["step"] == mine.checked["step"].min()]
        return table[table["time"] > table["time"].max() - days].sort_values("time")
    series = Panel.of(dataset, mine.model_spec.resolution, mine.model_spec.measure).last(days.days)
    table = table_of(series.days, series, {"actual": series.values})
    own = table[table["entity"].isin(entities)]
    return own.groupby("time")["actual"].sum(min_count=len(entities)).reset_index()


def _table(rows: pd.DataFrame, found: Forecast) -> None:
    quantiles = [column for column in rows if column.startswith("q")]
    low, high = quantiles[0], quantiles[-1]
    digits = 0 if rows["forecast"].abs().median() >= 100 else 3
    table = rows[["time", "step", "forecast", low, high, "naive7"]].round(digits)
    table["assumed"] = ["◇" if assumed else "" for assumed in rows["assumed"]]
    unit = figures.amount_axis(found, _)
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="forecast-rows",
        alt=_("The forecast as a table"),
        column_config={
            "time": st.column_config.DatetimeColumn(
                _("Time"), format=date_format() + ("" if len(found.slots) == 1 else " HH:mm")
            ),
            "step": number(_("Days ahead"), width="small"),
            "forecast": number(f"{_('Forecast')} ({unit})", format="localized"),
            low: number(_("Low end"), format="localized", help=figures.promised(found.model_spec.quantiles, _)),
            high: number(_("High end"), format="localized", help=figures.promised(found.model_spec.quantiles, _)),
            "naive7": number(_("Same weekday before"), format="localized"),
            "assumed": st.column_config.TextColumn(
                _("Assumed"),
                width="small",
                help=_("◇: no file tells a driver of this day; its usual value for the date stands in."),
            ),
        },
    )


def _checked(found: Forecast, chosen: Chosen, run: str) -> None:
    trust.backtest(found, chosen)
    interval_violations.show(found, run)


# ---- importance and effects -----------------------------------------------------------------------------------------


def _matters(found: Forecast) -> None:
    st.subheader(_("What the forecast hangs on"))
    if found.importance.empty:
        st.caption(_("This forecaster has no features that could be shuffled."))
    else:
        chart(figures.importance(found.importance, _), "importance", _("Importance of groups of features"), dated=False)
        st.caption(
            _(
                "By how much the error of the back-test grows when one group takes its values from other "
                "days. Groups that say the same share their worth."
            )
        )
    st.subheader(_("What strikes change"))
    _effects(found.effects)
    st.subheader(_("Warmer, colder, strike or not"))
    _response(found)


def _response(found: Forecast) -> None:
    if found.response["shift"].nunique() < 2:
        st.caption(_("The model has learnt no temperature: add a file of weather as a driver."))
        return
    unit = found.data.unit
    chart(
        figures.response(found.response, unit, _),
        "response",
        _("Amount against a shift of the temperature"),
        dated=False,
    )
    st.caption(
        _(
            "The amount of all entities over the days to come, if every one of them were so many degrees "
            "warmer or colder, with and without a strike, as the model has learnt."
        )
    )


def _effects(table: pd.DataFrame) -> None:
    if table.empty:
        st.caption(_("No strikes are known, or too few to tell their effect: add a file of strikes as a driver."))
        return
    chart(
        figures.effects(table, _), "effects", _("Effect of strikes by three methods, with 95 % intervals"), dated=False
    )
    lines = table.set_index("method")
    raw, best = lines.loc["raw"], lines.iloc[-1]
    st.markdown(
        _(
            "Taken as they are, days with a strike differ from the others by {raw}, the season they fall in "
            "included. {rest}"
        ).format(raw=_signed(raw["change"]), rest=_told(best, weather="weather" in str(best.name)))
    )
    st.caption(
        _("Days with a strike: {days}, in {episodes} episodes, from which the intervals are drawn.").format(
            days=shown(int(best["days"])), episodes=shown(int(best["episodes"]))
        )
    )


def _told(effect: pd.Series, weather: bool) -> str:
    """Return the effect of strikes compared with similar days, and whether it is significant."""
    values = {"change": _signed(effect["change"]), "low": _signed(effect["low"]), "high": _signed(effect["high"])}
    beside = (
        _("Beside like days, the weather taken out, {change} remain")
        if weather
        else _("Beside like days {change} remain")
    )
    surely = effect["low"] * effect["high"] > 0
    doubt = _("({low} to {high}).") if surely else _("({low} to {high}), which cannot be told from none.")
    return f"{beside} {doubt}".format(**values)


def _signed(share: float) -> str:
    return ("+" if share > 0 else "") + percent(round(float(share), 3))
