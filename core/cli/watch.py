"""The commands `python -m core watch`: saved questions that are asked again by themselves."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.options import command_actor, exit_on_error
from core.cli.output import print_json
from core.cli.recipients import recipients
from core.cli.replay import replay
from core.cli.watch_options import build_model, build_source, format_instant, format_text, to_json
from core.errors import OptionError
from core.messages import N_
from core.watches.watch import Watch
from core.workspace import get_workspace

if TYPE_CHECKING:
    from core.storage.watches.ticks import TickRecord
    from core.storage.watches.watch_store import WatchState

NEW_INCIDENTS_EXIT_CODE = 3
SHOWN_TICKS = 10

watch = typer.Typer(
    no_args_is_help=True,
    help="Watches, which ask a question again by themselves: add, list, show, run, replay, pause, resume, remove.",
)
watch.add_typer(recipients, name="recipients")
watch.command()(replay)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the watch, as `watch list` prints it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@watch.command()
def add(
    name: Annotated[str, typer.Option(help="Name: small letters, digits and hyphens.")],
    from_run: Annotated[str, typer.Option(metavar="RUN_ID", help="Run whose question is asked again.")],
    every: Annotated[str, typer.Option(metavar="TIME", help="How often: 15 minutes, 1 hour, 1 day.")] = "",
    cron: Annotated[str, typer.Option(metavar="LINE", help="When, as a cron line of five fields.")] = "",
    zone: Annotated[str, typer.Option(help="Time zone of the schedule (default: that of the data).")] = "",
    model: Annotated[
        str, typer.Option(metavar="NAME@ALIAS", help="Model (default: the champion, else that of the run).")
    ] = "",
    folder: Annotated[str, typer.Option(metavar="PATH", help="Source: the files of a folder.")] = "",
    bucket: Annotated[str, typer.Option(metavar="ADDRESS", help="Source: files in s3://… or gs://….")] = "",
    pattern: Annotated[str, typer.Option(metavar="PATTERN", help="Names of these files, such as *.csv.")] = "",
    url: Annotated[str, typer.Option(help="Source: a CSV or JSON file on the web.")] = "",
    calls: Annotated[bool, typer.Option("--calls", help="Source: the call records in Elasticsearch.")] = False,
    step: Annotated[int | None, typer.Option(metavar="MINUTES", help="Interval in which calls are counted.")] = None,
    database: Annotated[str, typer.Option(metavar="NAME", help="Source: a database of the settings.")] = "",
    query: Annotated[str, typer.Option(metavar="SQL", help="SELECT with :since, or the file that holds it.")] = "",
    time_column: Annotated[str, typer.Option(help="Column of the query that orders its rows.")] = "",
    recipient: Annotated[list[str], typer.Option(help="Who is told. Repeat the option for several.")] = [],  # noqa: B006
    min_severity: Annotated[int | None, typer.Option(help="Lowest severity that is told, 0 to 3.")] = None,
    max_failures: Annotated[int | None, typer.Option(help="Failures in a row that are an incident.")] = None,
    max_silence: Annotated[
        int | None, typer.Option(metavar="MINUTES", help="So long without a new row is an incident; 0 for never.")
    ] = None,
    refit: Annotated[str, typer.Option(metavar="TIME", help="How often the model is trained again.")] = "",
    history_days: Annotated[int | None, typer.Option(help="Days of rows that are stored.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the question of a run again by itself. Without a source, the folder `inbox` of the data folder is read."""
    from core.operations.watching import watches

    with exit_on_error():
        if every and cron:
            raise OptionError(N_("Give only one of these options: {options}."), options="--every / --cron")
        source = build_source(
            folder=folder,
            bucket=bucket,
            url=url,
            calls=calls,
            step=step or 0,
            database=database,
            query=query,
            time_column=time_column,
            pattern=pattern,
        )
        workspace, actor = get_workspace(), command_actor("watch add")
        choices = {
            "name": name,
            "model": model or None,
            "schedule": every or cron or None,
            "zone": zone or None,
            "recipients": recipient or None,
            "min_severity": min_severity,
            "max_failures": max_failures,
            "max_silence_minutes": max_silence,
            "refit": refit or None,
            "history_days": history_days,
        }
        suggestion = watches.suggest_watch(from_run, workspace, source).model_dump()
        chosen = suggestion | {field: value for field, value in choices.items() if value is not None}
        added = watches.add_watch(build_model(Watch, "watch add", **chosen), workspace, actor)
        state = workspace.watches.watches.load_state(added.name)
    print_json(_state_to_json(state)) if as_json else typer.echo(_format_state(state))


@watch.command("list")
def list_watches(as_json: AsJson = False) -> None:
    """List the watches with their next and their last tick."""
    from core.operations.watching import watches

    with exit_on_error():
        states = watches.list_watches(get_workspace())
    if as_json:
        print_json({"watches": [_state_to_json(state) for state in states]})
        return
    for state in states:
        typer.echo(_format_state(state))
    if not states:
        typer.echo("there is no watch")


@watch.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a watch, its source and its last ticks."""
    from core.storage.sources import describe_source

    with exit_on_error():
        workspace = get_workspace()
        state = workspace.watches.watches.load_state(name)
        ticks = workspace.watches.ticks.list_ticks(name, SHOWN_TICKS)
    if as_json:
        print_json(_state_to_json(state) | {"ticks": [_tick_to_json(tick) for tick in ticks]})
        return
    watch = state.watch
    typer.echo(_format_state(state))
    typer.echo(f"source {format_text(describe_source(watch.source))}")
    typer.echo(f"recipients {', '.join(watch.recipients) or '-'}, from severity {watch.min_severity}")
    for tick in ticks:
        typer.echo(f"  {_format_tick(tick)}")


@watch.command("run")
def run_once(name: Name, as_json: AsJson = False) -> None:
    """Ask a watch once, now, also before it is due.

    The exit code is 0 if all is well, 3 if incidents were opened, 1 if the source or the model failed, 2 for an unknown
    option.
    """
    from core.operations.watching.tick import run_watch_now

    with exit_on_error():
        tick = run_watch_now(name, get_workspace(), command_actor("watch run"))
    print_json(_tick_to_json(tick)) if as_json else typer.echo(_format_tick(tick))
    if tick.state == "failed":
        raise typer.Exit(1)
    raise typer.Exit(NEW_INCIDENTS_EXIT_CODE if tick.incidents_opened else 0)


@watch.command()
def pause(name: Name, as_json: AsJson = False) -> None:
    """Pause a watch. Its incidents stay."""
    _set_paused(name, True, as_json)


@watch.command()
def resume(name: Name, as_json: AsJson = False) -> None:
    """Let a paused watch go on. What came meanwhile is read at the next tick."""
    _set_paused(name, False, as_json)


@watch.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Delete a watch with its ticks, its stored rows and its incidents."""
    from core.operations.watching import watches

    with exit_on_error():
        watches.remove_watch(name, get_workspace(), command_actor("watch remove"))
    print_json({"removed": name}) if as_json else typer.echo(f"{name} removed")


def _set_paused(name: str, is_paused: bool, as_json: bool) -> None:
    from core.operations.watching import watches

    with exit_on_error():
        workspace = get_workspace()
        watches.pause_watch(name, is_paused, workspace, command_actor("watch pause" if is_paused else "watch resume"))
        state = workspace.watches.watches.load_state(name)
    print_json(_state_to_json(state)) if as_json else typer.echo(_format_state(state))


# ---- output ---------------------------------------------------------------------------------------------------------


def _state_to_json(state: "WatchState") -> dict[str, Any]:
    """Return a watch and its state; of the source, a short address without secrets."""
    from core.storage.sources import describe_source

    return to_json(state.watch, exclude={"schema_version", "source"}) | {
        "source": {"kind": state.watch.source.kind, "address": describe_source(state.watch.source)},
        "is_running": state.is_running,
        "failures": state.failures,
        "next_tick": state.next_tick,
        "last_row_at": state.last_row_at,
        "last_tick": None if state.last_tick is None else _tick_to_json(state.last_tick),
    }


def _tick_to_json(tick: "TickRecord") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(tick) | {"problem": str(tick.problem or "")}


def _format_state(state: "WatchState") -> str:
    watch, tick = state.watch, state.last_tick
    phase = "paused" if watch.is_paused else "running" if state.is_running else "waiting"
    last = "never asked" if tick is None else _format_tick(tick)
    return (
        f"{watch.name:24} {phase:8} {watch.task:12} {watch.model:34.34} {watch.schedule:12} next "
        f"{format_instant(state.next_tick)}  last {last}"
    )


def _format_tick(tick: "TickRecord") -> str:
    counts = {"new rows": tick.rows_new, "alarms": tick.alarms, "new incidents": tick.incidents_opened}
    others = {"corrected": tick.rows_corrected, "late": tick.rows_late, "left out": tick.rows_left_out}
    shown = counts | {name: count for name, count in others.items() if count}
    text = ", ".join(f"{name} {count:,}" for name, count in shown.items())
    problem = f"  {format_text(str(tick.problem))}" if tick.problem else ""
    return f"{format_instant(tick.ended)} {tick.state}: {text}{problem}"
