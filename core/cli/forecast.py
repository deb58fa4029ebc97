"""`python -m core forecast FILE...`: what comes next, how sure that is, and how well it would have been known
before.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from core.cli.options import (
    End,
    Entities,
    Files,
    Start,
    check_out,
    command_actor,
    loaded,
    one_line_errors,
    one_of,
    pairs,
    print_json,
    selection,
    stored_digest,
    write_out,
)
from core.errors import OptionError
from core.messages import N_
from core.runs.tracked_run import Run
from core.tasks.forecast.result import Forecast
from core.workspace import get_workspace

if TYPE_CHECKING:
    from core.data.covariates import CovariateTable

FIGURES = ("mae", "wape", "rmse", "r2", "mase", "skill_naive1", "skill_naive7", "quantile_loss", "coverage", "width")


def forecast(
    files: Files,
    forecaster: Annotated[
        str, typer.Option(help="ridge, random-forest, gradient-boosting, blend or seasonal-naive.")
    ] = "blend",
    horizon: Annotated[int, typer.Option(help="Days ahead, 1 to 28.")] = 7,
    drivers: Annotated[
        list[Path],
        typer.Option(
            help="Weather, strikes, school breaks, holidays: known in advance; or the digest they are stored under."
        ),
    ] = [],  # noqa: B006
    weather: Annotated[
        Literal["as-given", "degraded", "none"],
        typer.Option(help="Weather as in the files, with the error of a usual forecast, or left out."),
    ] = "as-given",
    resolution: Annotated[
        Literal["day", "hour"], typer.Option(help="Daily amounts, or the moments of the day.")
    ] = "day",
    measure: Annotated[str, typer.Option(help="The column, where the files have several.")] = "",
    backtest_from: Annotated[
        str, typer.Option(metavar="DATE", help="First day of the test (default: the last year).")
    ] = "",
    quantiles: Annotated[str, typer.Option(help="Levels, separated by commas.")] = "0.05,0.5,0.95",
    settings: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter.")] = [],  # noqa: B006
    model: Annotated[str | None, typer.Option(metavar="RUN_ID|NAME@ALIAS", help="Apply this model instead.")] = None,
    entities: Entities = [],  # noqa: B006
    start: Start = "",
    end: End = "",
    recalibrate: Annotated[
        str | None,
        typer.Option(metavar="RUN_ID|NAME@ALIAS", help="The forecast of this run with intervals made anew instead."),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="Repairs to make first: a JSON list of {kind, settings}.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the forecast as .csv or .parquet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Forecast the days after the last, test the forecaster on the past, and keep the answer as a run."""
    from core.runs.promotion import run_of
    from core.spec.hyperparameters import configured
    from core.tasks.forecast import run as analysis

    actor, workspace = command_actor("forecast"), get_workspace()
    with one_line_errors():
        check_out(out)
        known = analysis.forecasters()
        one_of("--forecaster", forecaster, known)
        chosen = configured(known[forecaster], pairs(settings))
        plan = analysis.Plan(
            horizon,
            resolution,
            measure,
            _levels(quantiles),
            "as given" if weather == "as-given" else weather,
            _day(backtest_from),
        )
        plan.check()
        tables = _tables(drivers)
        dataset = loaded(files, recipe)
        part = selection(dataset, entities, start, end)
        if recalibrate is not None:
            found, run = analysis.recalibrate(dataset, run_of(recalibrate, workspace), workspace=workspace, actor=actor)
        elif model is not None:
            found, run = analysis.apply_model(
                dataset, run_of(model, workspace), tables=tables, workspace=workspace, actor=actor
            )
        else:
            found, run = analysis.forecast(
                dataset, chosen, plan, tables=tables, selection=part, workspace=workspace, actor=actor
            )
        write_out(found.to_frame(), out)
    workspace.tracking.wait_for_delivery(30)
    print_json(_answer(found, run)) if as_json else _print(found, run)


def _tables(drivers: list[Path]) -> "tuple[CovariateTable, ...]":
    """The tables in files, or those stored under a digest. Raises NotFoundError, UnreadableFileError, OptionError."""
    from core.data.covariates import read_covariates

    digest = stored_digest(drivers)
    return tuple(get_workspace().drivers.load(digest) if digest else read_covariates(list(drivers)) if drivers else ())


def _levels(text: str) -> tuple[float, ...]:
    """Raises OptionError for what is no number."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="--quantiles",
            value=text,
            accepted="0.05,0.5,0.95",
        ) from error


def _day(text: str) -> Any:
    """Raises OptionError for what is no date."""
    import pandas as pd

    day = pd.to_datetime(text, format="%Y-%m-%d", errors="coerce") if text else None
    if day is pd.NaT:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="--backtest-from",
            value=text,
            accepted="2023-01-01",
        )
    return day


def _answer(found: Forecast, run: Run) -> dict[str, Any]:
    overall = {name: run.metrics.get(name) for name in FIGURES}
    steps = json.loads(found.per_step().set_index("step").to_json(orient="index"))
    return {
        "run_id": run.id,
        "recorded": run.delivered,
        "metrics": overall | {"steps": steps},
        "notes": [str(note) for note in found.question.texts],
        "seconds": run.seconds,
        "emissions_kg": run.emissions_kg,
    }


def _print(found: Forecast, run: Run) -> None:
    typer.echo(f"{len(found.rows):,} values, {run.seconds:.1f} s, {run.emissions_kg * 1000:.4f} g CO2, run {run.id}")
    typer.echo("  days ahead     MAE    WAPE  naive-1  naive-7  coverage")
    for line in found.per_step().itertuples():
        typer.echo(
            f"  {line.step:>10}  {line.mae:>6,.0f}  {line.wape:>5.1%}  "
            f"{line.wape_naive1:>6.1%}  {line.wape_naive7:>6.1%}"
            f"  {line.coverage:>7.1%}"
        )
    for note in found.question.texts:
        typer.echo(f"  {note}")
