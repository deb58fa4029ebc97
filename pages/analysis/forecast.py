"""Page of the forecast task: future amounts, their intervals, and the covariates they depend on."""

from typing import Any

import streamlit as st

from core.data.dataset import Dataset
from core.spec.hyperparameters import get_hyperparameters
from core.tasks.forecast.data_choices import list_obvious_measures
from core.tasks.forecast.horizon import suggest_horizon
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.run import load_forecast
from core.tasks.forecast.spec import ForecastSpec
from pages.components import cache, covariate_upload, task_page
from pages.components.i18n import _, format_percent, get_date_format
from pages.components.results import forecast
from pages.components.task_links import show_missing_dates

QUANTILES_BY_COVERAGE = {0.8: (0.1, 0.5, 0.9), 0.9: (0.05, 0.5, 0.95), 0.95: (0.025, 0.5, 0.975)}


def page() -> None:
    """Show the form and the result."""
    task, dataset = task_page.open_page("forecast")
    if dataset is None:
        return
    if not dataset.has_dates:
        show_missing_dates(dataset.digest, "anomalies", "sequences")
        return
    result: Forecast | None = cache.load_result(task.name, load_forecast)
    if result is not None:
        covariate_upload.suggest_digest(result.covariate_digest)
    task_page.ask_and_show(
        task,
        dataset,
        forecast.show_forecast,
        widgets={
            "covariates": covariate_upload.ask_digest,
            "horizon": _ask_horizon,
            "calendar": covariate_upload.ask_calendar,
            "places": covariate_upload.ask_places,
            "measure": _ask_measure,
            "quantiles": _ask_interval,
            "backtest_from": _ask_backtest_start,
        },
        describe_model=lambda record: _("{days} days ahead").format(days=record.params["horizon"]),
    )


def _ask_measure(dataset: Dataset) -> str:
    """Ask for the column, if the dataset has several and is not a daily profile; the obvious one is preselected."""
    if dataset.profile or len(dataset.columns) < 2:
        return ""
    obvious = list_obvious_measures(dataset)
    index = dataset.columns.index(obvious[0]) if len(obvious) == 1 else None
    column = st.selectbox(
        _("Column"),
        dataset.columns,
        index,
        key="forecast-measure",
        placeholder=_("Choose the column to forecast"),
        persist_state="page",
    )
    return column or ""


def _ask_horizon(dataset: Dataset) -> int | str:
    """Ask for the number of periods ahead, or a length of time; "" for the default, which is shown."""
    field = get_hyperparameters(ForecastSpec)["horizon"]
    resolution = st.session_state.get("forecast-resolution", "auto")
    text = st.text_input(
        _(field.metadata["label"]),
        key="forecast-horizon",
        help=_(field.metadata["help"]),
        placeholder=str(_load_default_horizon(resolution, dataset.digest, dataset)),
        persist_state="page",
    ).strip()
    return int(text) if text.isdecimal() else text


@st.cache_data(max_entries=100, show_spinner=False)
def _load_default_horizon(resolution: Any, digest: str, _dataset: Dataset) -> int:
    """Return the default horizon; it is computed once for the data of a digest."""
    return suggest_horizon(resolution, _dataset)


def _ask_interval(dataset: Dataset) -> tuple[float, ...]:
    """Ask for the nominal coverage; return the quantiles of the interval and the median."""
    level: Any = st.segmented_control(
        _("Prediction interval"),
        list(QUANTILES_BY_COVERAGE),
        default=0.9,
        required=True,
        format_func=format_percent,
        key="forecast-quantiles",
        help=_(
            "Nominal coverage: target share of measured amounts inside the interval. The backtest "
            "gives the measured coverage."
        ),
        persist_state="page",
    )
    return QUANTILES_BY_COVERAGE[level or 0.9]


def _ask_backtest_start(dataset: Dataset) -> str:
    """Ask for the first day of the backtest; "" for the default."""
    day = st.date_input(
        _("Backtest from"),
        None,
        min_value=dataset.time.min().date(),
        max_value=dataset.time.max().date(),
        format=get_date_format(),
        key="forecast-backtest_from",
        help=_(
            "First day of the backtest. The tested model is trained on earlier days only. Default: the "
            "last year, or the last fifth of a shorter history."
        ),
        persist_state="page",
    )
    return str(day) if day else ""


page()
