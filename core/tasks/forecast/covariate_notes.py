"""Notes on covariates: the calendar, what was shared or not matched, and what no model uses, each with the reason."""

from core.data.covariates import Covariates
from core.data.panel import Panel
from core.forecasters.backtests.backtest import Backtest
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.panels.covariate_panel import WEATHER_COLUMNS, select_covariates
from core.messages import N_, Message
from core.tasks.forecast.spec import ForecastSpec

OVERLAP_KINDS = ("calendar", "column_in_several_tables", "calendar_added")
"""Kinds of findings of the join that tell what was chosen and how files were combined; the others are cautions."""


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
            name, Message(N_("{covariate} is not used: the model was fitted without it."), {"covariate": name})
        )
        for name in unused
        if spec.weather != "none" or name not in WEATHER_COLUMNS
    ]
    joined = [note.message for note in covariates.notes if note.kind not in OVERLAP_KINDS]
    return (*joined, *reasons)


def list_backtest_cautions(model: ForecastModel, backtest: Backtest) -> tuple[Message, ...]:
    """Return a note on the covariates that the model uses, but not the backtest: its past has too few of them."""
    tested = backtest.covariates.columns if backtest.covariates else {}
    missing = [name for name in model.covariate_names_ if name not in tested]
    template = N_("The backtest did not use {covariates}: the days before it have too few values or events.")
    return (Message(template, {"covariates": ", ".join(missing)}),) if missing else ()
