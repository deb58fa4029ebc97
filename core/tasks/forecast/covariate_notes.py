"""Notes on covariates: the calendar, what was shared or not matched, and what no model uses, each with the reason."""

from collections.abc import Iterator, Sequence

from core.data.covariates import Covariates
from core.data.covariates.column_names import takes_largest
from core.data.dataset import DAY
from core.data.panel import Panel
from core.forecasters.backtests.backtest import Backtest
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.intraday.times_choice import TimesTest
from core.forecasters.panels.covariate_panel import WEATHER_COLUMNS, select_covariates
from core.forecasters.panels.covariate_periods import list_timed_columns
from core.messages import N_, Message
from core.tasks.forecast.spec import ForecastSpec

OVERLAP_KINDS = ("calendar", "column_in_several_tables", "calendar_added")
"""Kinds of findings of the join that tell what was chosen and how files were combined; the others are cautions."""

TIMES_USED = N_(
    "Covariates at the times of the day: {covariates}. On the last {days} days of the training data, the error was "
    "{times} % of the amounts with them, and {day} % with one value per day."
)
TIMES_NOT_USED = N_(
    "Covariates with one value per day: {covariates}. Their values at the times of the day were not measurably "
    "better on the last {days} days of the training data: the error was {times} % of the amounts instead of {day} %."
)
DAY_ONLY = N_(
    "Covariates with one value per day, because their values at the times of the data are not known: {covariates}."
)
DAY_FOR_ERROR = N_(
    "Covariates with one value per day, because the usual error of a weather forecast is known for whole days only: "
    "{covariates}."
)
DAY_FOR_HISTORY = N_(
    "Covariates with one value per day, because the history is too short to test their values at the times of the "
    "day: {covariates}."
)


def list_overlaps(covariates: Covariates) -> tuple[Message, ...]:
    """Return the chosen calendar, and how columns that several files have were combined."""
    return tuple(note.message for note in covariates.notes if note.kind in OVERLAP_KINDS)


def list_cautions(
    model: ForecastModel, spec: ForecastSpec, series: Panel, covariates: Covariates
) -> tuple[Message, ...]:
    """Return the calendar, places without a match, and every covariate that the model does not use, with the reason."""
    selection = select_covariates(series, covariates, spec.weather)
    unused = [name for name in covariates.columns if name not in model.covariate_names_]
    reasons = [
        selection.left_out.get(
            name, Message(N_("{covariate} is not used: the model was trained without it."), {"covariate": name})
        )
        for name in unused
        if spec.weather != "none" or name not in WEATHER_COLUMNS
    ]
    joined = [note.message for note in covariates.notes if note.kind not in OVERLAP_KINDS]
    return (*joined, *reasons)


def list_times_notes(model: ForecastModel, series: Panel, covariates: Covariates) -> tuple[Message, ...]:
    """Return which numbers count at the times of the day, and which by day with the reason; () for whole days."""
    if len(series.slots) == 1 and series.step >= DAY:
        return ()
    numbers = [name for name in model.covariate_names_ if not takes_largest(name)]
    test, available = model.times_test_, list_timed_columns(covariates, series)
    tested = [name for name in numbers if test is not None and name in test.names]
    by_day = [name for name in numbers if name not in tested and name not in model.timed_names_]
    notes = [_describe_times_test(test, is_used=bool(model.timed_names_))] if test is not None else []
    return (*notes, *_list_day_notes(model, by_day, available))


def _describe_times_test(test: TimesTest, is_used: bool) -> Message:
    errors = {"times": round(100 * test.times_error, 2), "day": round(100 * test.day_error, 2), "days": test.days}
    template = TIMES_USED if is_used else TIMES_NOT_USED
    return Message(template, {"covariates": ", ".join(test.names), **errors})


def _list_day_notes(model: ForecastModel, names: Sequence[str], available: Sequence[str]) -> Iterator[Message]:
    """Yield why `names` count with one value per day; `available` ones are known at the times of the day."""
    degraded = [name for name in names if name in available and model.weather == "degraded" and name in WEATHER_COLUMNS]
    untested = [name for name in names if name in available and name not in degraded]
    daily = [name for name in names if name not in available]
    for template, group in ((DAY_ONLY, daily), (DAY_FOR_ERROR, degraded), (DAY_FOR_HISTORY, untested)):
        if group:
            yield Message(template, {"covariates": ", ".join(group)})


def list_backtest_cautions(model: ForecastModel, backtest: Backtest) -> tuple[Message, ...]:
    """Return notes on the covariates that the backtest used in another way than the model, or not at all.

    Its past may have too few of their values.
    """
    tested = backtest.covariates.columns if backtest.covariates else {}
    missing = [name for name in model.covariate_names_ if name not in tested]
    template = N_("The backtest did not use {covariates}: the days before it have too few values or events.")
    cautions = [Message(template, {"covariates": ", ".join(missing)})] if missing else []
    timed = backtest.covariates.at_times if backtest.covariates else {}
    differing = [name for name in model.covariate_names_ if (name in timed) != (name in model.timed_names_)]
    if differing and len(backtest.series.slots) == 1:
        template = (
            N_(
                "The backtest used the values of {covariates} at the times of the day. The forecast uses one value "
                "per day."
            )
            if timed
            else N_(
                "The backtest used one value per day of {covariates}. The forecast uses their values at the times "
                "of the day."
            )
        )
        cautions.append(Message(template, {"covariates": ", ".join(differing)}))
    return tuple(cautions)
