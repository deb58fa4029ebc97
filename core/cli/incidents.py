"""The commands `python -m core incidents`: what watches found, and what persons do about it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer

from core.cli.options import command_actor, exit_on_error
from core.cli.output import print_json
from core.cli.watch_options import format_instant, format_text, parse_instant, to_json
from core.errors import OptionError
from core.messages import N_
from core.spec.hyperparameters import require_choice
from core.watches.incident import Incident, Verdict
from core.workspace import get_workspace

VERDICT_WORDS: dict[str, Verdict] = {"true": "true_alarm", "false": "false_alarm", "unsure": "unsure"}
STATES = ("open", "resolved", "all")
ID_CHARS = 8  # of an id in a list; the commands take as many

incidents = typer.Typer(
    no_args_is_help=True, help="Incidents that watches found: list, show, ack, assign, mute, resolve, reopen, accept."
)
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the incident, or its first 6 characters or more.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@incidents.command("list")
def list_incidents(
    watch: Annotated[str, typer.Option(metavar="NAME", help="Only of this watch.")] = "",
    state: Annotated[str, typer.Option(metavar="|".join(STATES), help="Which incidents.")] = "open",
    entity: Annotated[str, typer.Option(help="Only of this entity.")] = "",
    since: Annotated[str, typer.Option(metavar="TIME", help="Only those with an alarm at this instant or later.")] = "",
    limit: Annotated[int, typer.Option(help="Largest number of incidents.", min=1, max=10_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List incidents, the worst first: open ones, then by severity and peak."""
    with exit_on_error():
        require_choice("--state", state, STATES)
        workspace = get_workspace()
        if watch:
            workspace.watches.watches.load_watch(watch)
        chosen = workspace.watches.incidents.list_incidents(
            watch=watch,
            is_open=None if state == "all" else state == "open",
            since=parse_instant("--since", since) if since else None,
            entity=entity,
            limit=limit,
        )
    if as_json:
        print_json({"incidents": [_incident_to_json(incident) for incident in chosen]})
        return
    for incident in chosen:
        typer.echo(_format_incident(incident))
    if not chosen:
        typer.echo("there is no such incident")


@incidents.command()
def show(incident_id: Id, as_json: AsJson = False) -> None:
    """Show an incident: its worst row, and what persons did about it."""
    with exit_on_error():
        incident = get_workspace().watches.incidents.load_incident(incident_id)
    if as_json:
        print_json(_incident_to_json(incident))
        return
    typer.echo(_format_incident(incident))
    for name, value in _incident_to_json(incident).items():
        if value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            typer.echo(f"  {name:16} {format_text(text)}")


@incidents.command()
def ack(incident_id: Id, as_json: AsJson = False) -> None:
    """Tell the others that you look after an incident."""
    from core.operations.watching.incidents import acknowledge_incident

    _change("ack", as_json, lambda **context: acknowledge_incident(incident_id, **context))


@incidents.command()
def assign(
    incident_id: Id,
    user: Annotated[str, typer.Argument(metavar="USER", help='User who looks after it; "" for nobody.')],
    as_json: AsJson = False,
) -> None:
    """Give an incident to a user."""
    from core.operations.watching.incidents import assign_incident

    _change("assign", as_json, lambda **context: assign_incident(incident_id, user, **context))


@incidents.command()
def mute(
    incident_id: Id,
    until: Annotated[str, typer.Option(metavar="TIME", help="Instant with its zone, such as 2026-01-31T13:00Z.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Announce it again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Announce nothing about an incident until an instant."""
    from core.operations.watching.incidents import mute_incident

    with exit_on_error():
        if bool(until) == off:
            raise OptionError(N_("Give exactly one of these options: {options}."), options="--until / --off")
        instant = parse_instant("--until", until) if until else None
    _change("mute", as_json, lambda **context: mute_incident(incident_id, instant, **context))


@incidents.command()
def resolve(
    incident_id: Id,
    verdict: Annotated[
        str, typer.Option(metavar="|".join(VERDICT_WORDS), help="Was it a true alarm? The threshold learns from it.")
    ] = "",
    comment: Annotated[str, typer.Option(help="What it was, at most 2000 characters.")] = "",
    as_json: AsJson = False,
) -> None:
    """Close an incident, with a verdict if you know it."""
    from core.operations.watching.incidents import resolve_incident

    with exit_on_error():
        if verdict:
            require_choice("--verdict", verdict, tuple(VERDICT_WORDS))
    chosen = VERDICT_WORDS.get(verdict)
    _change("resolve", as_json, lambda **context: resolve_incident(incident_id, chosen, comment, **context))


@incidents.command()
def reopen(incident_id: Id, as_json: AsJson = False) -> None:
    """Open a resolved incident again."""
    from core.operations.watching.incidents import reopen_incident

    _change("reopen", as_json, lambda **context: reopen_incident(incident_id, **context))


@incidents.command()
def accept(
    incident_id: Id,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Instant from which the new level counts (default: its beginning).")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make the level of a lasting change the new normal: rows before it are no past of the entity any more."""
    from core.operations.watching.incidents import accept_level

    with exit_on_error():
        instant = parse_instant("--since", since) if since else None
    _change("accept", as_json, lambda **context: accept_level(incident_id, instant, **context))


def _change(word: str, as_json: bool, change: Callable[..., Incident]) -> None:
    """Change an incident and print it."""
    with exit_on_error():
        incident = change(workspace=get_workspace(), actor=command_actor(f"incidents {word}"))
    print_json(_incident_to_json(incident)) if as_json else typer.echo(_format_incident(incident))


def _incident_to_json(incident: Incident) -> dict[str, Any]:
    return to_json(incident.spell_events_out(), exclude={"schema_version"})


def _format_incident(incident: Incident) -> str:
    span = _format_span(incident.start, incident.end)
    measured = "" if incident.measured is None else f"  {incident.column} {incident.measured:.6g}"
    expected = "" if incident.expected is None else f", expected {incident.expected:.6g}"
    return format_text(
        f"{incident.id[:ID_CHARS]}  {incident.state:12} severity {incident.severity}  {incident.watch:20} "
        f"{incident.kind:14} {incident.entity or '-'}  {span}{measured}{expected}"
    )


def _format_span(start: datetime, end: datetime) -> str:
    return format_instant(start) if start == end else f"{format_instant(start)} to {format_instant(end)}"
