"""The commands `python -m core runs list|show|rename|card`: stored runs and their run cards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
import typer

from core.cli.options import command_actor, exit_on_error
from core.cli.output import print_json, write_text
from core.errors import OptionError
from core.messages import N_
from core.spec.task import list_task_names
from core.workspace import get_workspace
from mlflow_utils.search import RunFilter

if TYPE_CHECKING:
    from core.runs.card_model import RunCard

runs = typer.Typer(no_args_is_help=True, help="Stored runs: list, show, rename, write the run card.")
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="Id of the run, as in results and addresses.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@runs.command("list")
def list_runs(
    task: Annotated[str, typer.Option(help=f"Only runs of this task: {', '.join(list_task_names())}.")] = "",
    model: Annotated[str, typer.Option(help="Only models whose name contains this text.")] = "",
    data: Annotated[
        str, typer.Option(help="Only data whose digest begins with this text or whose file names contain it.")
    ] = "",
    user: Annotated[str, typer.Option(help="Only users whose name contains this text.")] = "",
    status: Annotated[str, typer.Option(help="Only this status: completed, failed, interrupted or running.")] = "",
    since: Annotated[str, typer.Option(metavar="DATE", help="Only runs that began on this day (UTC) or later.")] = "",
    text: Annotated[str, typer.Option(help="Only runs whose name, error or parameters contain this text.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of runs.")] = 20,
    token: Annotated[str, typer.Option(help="Token of the previous list, to continue after it.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the runs of all tasks, newest first, including those that wait for delivery to MLflow."""
    from core.runs.comparison import search_runs
    from core.runs.run_table import runs_to_frame

    with exit_on_error():
        run_filter = RunFilter(task, model, user, data, status, since_ms=_parse_day(since), text=text)
        page, outage_message = search_runs(get_workspace(), run_filter, limit, token)
    table = runs_to_frame(page.runs)
    if as_json:
        print_json(
            {
                "runs": [_row_to_json(row) for row in table.to_dict("records")],
                "token": page.token,
                "mlflow_silent": outage_message,
            }
        )
        return
    for row in table.to_dict("records"):
        typer.echo(_format_row(row))
    if not len(table):
        typer.echo("no run is stored")
    if outage_message:
        typer.echo(f"{outage_message} The list has only runs of this machine.", err=True)
    if page.token:
        typer.echo(f"more: --token {page.token}", err=True)


@runs.command()
def show(run_id: RunId, as_json: AsJson = False) -> None:
    """Show parameters, metrics and cost of a run."""
    card = _load_card(run_id)
    if as_json:
        typer.echo(card.to_json())
        return
    about, cost = card.about, card.cost
    typer.echo(f"{about.task} · {about.name}")
    pending = ", pending delivery to MLflow" if about.is_pending else ""
    typer.echo(f"run {about.id}, {about.status}{pending}, {about.began}, {about.user}")
    typer.echo(f"data {card.data.digest} ({', '.join(card.data.files)})")
    if about.error:
        typer.echo(f"error {about.error}")
    typer.echo("parameters " + ", ".join(f"{name}={value}" for name, value in card.model.parameters.items()))
    for name, value in card.metrics.items():
        typer.echo(f"  {name:28} {value:.6g}")
    typer.echo(f"{cost.seconds or 0:.1f} s, {1000 * (cost.emissions_kg or 0):.4f} g CO2")
    if card.repeat.command:
        typer.echo(card.repeat.command)


@runs.command()
def rename(run_id: RunId, name: Annotated[str, typer.Argument(help="New name, of 1 to 120 characters.")]) -> None:
    """Give a run a new name, here and in MLflow."""
    from core.runs.renaming import rename_run

    with exit_on_error():
        record, is_delivered = rename_run(
            run_id, name, workspace=get_workspace(), actor=command_actor("runs rename"), manages_all=True
        )
    typer.echo(record.name)
    if not is_delivered:
        typer.echo("MLflow gets the name later", err=True)


@runs.command()
def card(
    run_id: RunId,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the card as one HTML file.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the card as JSON.")] = None,
) -> None:
    """Write the run card: data, model, threshold, metrics, cost and the command that repeats the run.

    Without a file, the card is printed as JSON.
    """
    from core.runs.card_html import render_html

    run_card = _load_card(run_id)
    with exit_on_error():
        if html is not None:
            write_text(html, render_html(run_card))
        if json is not None:
            write_text(json, run_card.to_json())
    if html is None and json is None:
        typer.echo(run_card.to_json())


def _load_card(run_id: str) -> "RunCard":
    from core.runs.card import build_run_card

    with exit_on_error():
        return build_run_card(run_id, get_workspace())


def _parse_day(day: str) -> int:
    """Return the start of a day such as 2026-01-31 (UTC) in milliseconds since 1970; 0 for an empty text.

    Raises OptionError for an invalid date.
    """
    time = pd.to_datetime(day, errors="coerce", utc=True) if day else pd.Timestamp(0, tz="UTC")
    if time is pd.NaT:
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="--since",
            value=day,
            accepted="2026-01-01",
        )
    return int(time.timestamp() * 1000)


def _row_to_json(row: dict[Any, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and value != value else value for name, value in row.items()}


def _format_row(row: dict[Any, Any]) -> str:
    value = row["value"]
    metric_text = f"{row['figure']} {value:.4g}" if value is not None and value == value else "-"
    seconds = f"{row['seconds']:.1f} s" if row["seconds"] == row["seconds"] and row["seconds"] is not None else "-"
    status = f"{row['status']}{', waits' if row['waits'] else ''}"
    return (
        f"{row['began']:%Y-%m-%dT%H:%M:%SZ}  {row['task']:20.20} {row['model']:22.22} {metric_text:20} {seconds:>9} "
        f" {status:16} {row['user']:12.12} {row['run']}  {row['name']}"
    )
