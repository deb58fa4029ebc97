"""Notes on what was chosen for the data where the user did not say it, and on how little it was tested."""

from collections.abc import Iterator

import pandas as pd

from core.data.dataset import Dataset
from core.data.panel import UTC, Panel
from core.forecasters.backtests.backtest import get_naive_season
from core.messages import N_, Message
from core.tasks.forecast.data_choices import choose_resolution
from core.tasks.forecast.spec import ForecastSpec

MIN_ORIGINS = 30  # of the last step, for errors that are no chance


def list_choice_notes(
    asked: ForecastSpec, spec: ForecastSpec, selected_rows: Dataset, series: Panel
) -> tuple[Message, ...]:
    """Return what was chosen between the `asked` spec and the used one: step, column, sum or mean, clock, test."""
    reason = choose_resolution(asked.resolution, selected_rows)[1]
    return (
        *((reason,) if reason else ()),
        *_list_measure_notes(asked, spec, selected_rows),
        *_list_aggregation_notes(asked, series),
        *_list_clock_notes(selected_rows, series),
        *_list_test_notes(spec, series),
    )


def _list_measure_notes(asked: ForecastSpec, spec: ForecastSpec, selected_rows: Dataset) -> Iterator[Message]:
    if spec.measure and not asked.measure:
        yield Message(
            N_("The column {column} is forecast, of {columns}. The option --measure names another one."),
            {"column": spec.measure, "columns": ", ".join(selected_rows.columns[:20])},
        )


def _list_aggregation_notes(asked: ForecastSpec, series: Panel) -> Iterator[Message]:
    if asked.aggregation != "auto" or not series.is_guessed:
        return
    if series.is_averaged:
        yield Message(
            N_(
                "The values of a day are averaged, because neither unit nor name says whether they are "
                "amounts, and they are not whole numbers. The option --aggregation sum adds them up."
            )
        )
    else:
        yield Message(
            N_(
                "The values of a day are summed, because neither unit nor name says whether they are amounts, and "
                "they are whole numbers. The option --aggregation mean averages them."
            )
        )


def _list_clock_notes(selected_rows: Dataset, series: Panel) -> Iterator[Message]:
    if series.zone == UTC and selected_rows.zone not in ("", UTC):
        yield Message(
            N_("The times are in UTC: in the local time of {zone}, the steps of the data are not regular."),
            {"zone": selected_rows.zone},
        )


def _list_test_notes(spec: ForecastSpec, series: Panel) -> Iterator[Message]:
    test_periods = len(series) - int(series.periods.searchsorted(pd.Timestamp(spec.backtest_from)))
    count = test_periods - spec.horizon_periods + 1
    if count < MIN_ORIGINS:
        yield Message(
            N_(
                "The history is short: only {count} forecast at a horizon of {horizon} could be tested. "
                "The errors and intervals are uncertain.",
                "The history is short: only {count} forecasts at a horizon of {horizon} could be tested. "
                "The errors and intervals are uncertain.",
            ),
            {"count": count, "horizon": spec.horizon_periods},
        )
    if series.season > 1 and get_naive_season(series) == 1:
        yield Message(
            N_("The data cover less than two years, so that the season of the year is unknown: {count} periods."),
            {"count": len(series)},
        )
