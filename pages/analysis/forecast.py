"""Forecast: what comes next, how sure that is, and what it hangs on."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core.data.covariates import CovariateTable
from core.data.dataset import DAY, Dataset
from core.forecasters.base import Forecaster
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.run import LONGEST, Plan, forecast_of, forecasters, question_of
from core.tasks.selection import Selection
from pages.components import (
    cache,
    clock,
    covariate_upload,
    forms,
    job_progress,
    model_picker,
    selection_form,
    url_state,
)
from pages.components.i18n import _, date_format, percent
from pages.components.results import forecast as show

FRESH, SAVED = "fit", "apply"
LEVELS = {0.8: (0.1, 0.5, 0.9), 0.9: (0.05, 0.5, 0.95), 0.95: (0.025, 0.5, 0.975)}
USUAL = "blend"


@dataclass(frozen=True)
class Request:
    """What the form asks for: a forecaster to fit, or the run whose model is applied."""

    selection: Selection
    plan: Plan
    forecaster: Forecaster | None = None
    model_run: str = ""


def page() -> None:
    st.title(_("Forecast"))
    dataset = cache.load_dataset()
    if dataset is None:
        selection_form.no_data()
        return
    selection_form.about(dataset)
    if not dataset.dated:
        st.info(_("These data have no dates, and a forecast needs them."), icon=":material/event_busy:")
        return
    found = cache.load_result("forecast", forecast_of)
    if found is not None:
        covariate_upload.suggest(found.question.driver_tables)
    ended = job_progress.settled(dataset.digest)
    _ask(dataset, asked=found is not None)
    job_progress.show(ended)
    if found is not None and not job_progress.going_on():
        _result(dataset, found, url_state.get_run_id())


def _result(dataset: Dataset, found: Forecast, run: str) -> None:
    if found.question.dataset == dataset.digest:
        show.forecast(found, Selection.asked(found.question).of(dataset), run)
    else:
        st.warning(_("This result belongs to data other than those loaded; what needs the data is left out."))
        show.forecast(found, None, run)


# ---- the question ---------------------------------------------------------------------------------------------------


def _ask(dataset: Dataset, asked: bool) -> None:
    """The question; its answer is begun when it is asked."""
    with st.expander(_("Question"), expanded=not asked and not job_progress.going_on(), icon=":material/tune:"):
        tables = covariate_upload.tables(dataset)
        how = st.segmented_control(
            _("Model"),
            [FRESH, SAVED],
            default=FRESH,
            key="forecast-how",
            required=True,
            format_func={FRESH: _("Fit on these days"), SAVED: _("Apply a saved model")}.__getitem__,
        )
        request = _fresh(dataset) if how == FRESH else _saved()
        if (
            st.button(
                _("Forecast"),
                type="primary",
                icon=":material/trending_up:",
                key="find-forecast",
                disabled=request is None or job_progress.going_on(),
            )
            and request is not None
        ):
            _begin(dataset, request, tables)


def _fresh(dataset: Dataset) -> Request:
    selection = Selection(*selection_form.part(dataset, "forecast"))
    left, middle, right = st.columns(3)
    with left:
        resolution = _resolution(dataset)
    with middle:
        horizon = st.slider(_("Days ahead"), 1, LONGEST, 7, key="forecast-horizon")
    with right:
        level = _level()
    left, middle, right = st.columns(3)
    with left:
        weather = _weather()
    with middle:
        start = _start(dataset)
    with right:
        forecaster = _forecaster()
    measure = _measure(dataset)
    return Request(selection, Plan(horizon, resolution, measure, LEVELS[level], weather, start), forecaster)


def _resolution(dataset: Dataset) -> Any:
    """Asked where the data have moments of a day."""
    if not (dataset.profile or (dataset.step is not None and dataset.step < DAY)):
        return "day"
    return st.segmented_control(
        _("Amounts"),
        ["day", "hour"],
        default="day",
        required=True,
        key="forecast-resolution",
        format_func={"day": _("per day"), "hour": _("per moment of the day")}.__getitem__,
        help=_(
            "Moments of the day follow the day's amount; where labels of hours are wrong, the data doctor's "
            "repair comes first."
        ),
    )


def _measure(dataset: Dataset) -> str:
    """Asked where there are several columns that are no moments of a day."""
    if dataset.profile or len(dataset.columns) < 2:
        return ""
    return st.selectbox(_("Column"), dataset.columns, key="forecast-measure")


def _level() -> float:
    return (
        st.segmented_control(
            _("Interval"),
            list(LEVELS),
            default=0.9,
            required=True,
            format_func=percent,
            key="forecast-level",
            help=_("How often the amount that comes is to lie inside; the back-test measures how often it did."),
        )
        or 0.9
    )


def _start(dataset: Dataset) -> pd.Timestamp | None:
    return clock.to_timestamp(
        st.date_input(
            _("Back-test from"),
            None,
            min_value=dataset.time.min().date(),
            max_value=dataset.time.max().date(),
            format=date_format(),
            key="forecast-backtest",
            help=_(
                "The model that is tested sees only the days before. Left empty: the last year, or the last "
                "fifth of a short history."
            ),
        )
    )


def _weather() -> Any:
    words = {
        "as given": _("as the files give it"),
        "degraded": _("with a forecast's usual error"),
        "none": _("without weather"),
    }
    return st.selectbox(
        _("Weather of the days to come"),
        list(words),
        format_func=words.__getitem__,
        key="forecast-weather",
        help=_("Observed weather makes the back-test look as if every weather forecast had been perfect."),
    )


def _forecaster() -> Forecaster:
    choices = forecasters()
    names = sorted(choices, key=lambda each: (each != USUAL, each))
    name = st.selectbox(_("Forecaster"), names, format_func=lambda each: _(choices[each].label), key="forecaster")
    with st.popover(_("Settings of the forecaster"), icon=":material/settings:"):
        return forms.ask(choices[name], name)


def _saved() -> Request | None:
    chosen = model_picker.choose("forecast", _described)
    if not chosen:
        return None
    st.caption(
        _(
            "The model forecasts the days after the end of these data; the figures of its back-test are those "
            "of its own run."
        )
    )
    return Request(Selection(), Plan(), model_run=chosen)


def _described(record: Any) -> str:
    return _("{days} days ahead").format(days=record.params["horizon"])


def _begin(dataset: Dataset, request: Request, tables: tuple[CovariateTable, ...]) -> None:
    """One click, one job, one run."""
    digest = cache.get_workspace().drivers.save(tables) if tables else ""
    job_progress.start(
        "forecast",
        question_of(
            dataset.digest,
            request.forecaster,
            request.plan,
            tables=digest,
            selection=request.selection,
            model_run=request.model_run,
        ),
    )


page()
