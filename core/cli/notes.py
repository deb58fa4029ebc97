"""The commands `python -m core notes list|events|add|remove`: notes on moments of stored data, and known events."""

from datetime import datetime
from typing import Annotated, Any

import typer

from core.cli.options import command_actor, exit_on_error
from core.cli.output import print_json
from core.data.covariates.countries import check_calendar
from core.data.dataset import Dataset
from core.errors import OptionError
from core.messages import N_
from core.operations.known_events import EventSource, list_known_events
from core.operations.notes import NoteInput, add_note, get_notes_digest, read_notes, remove_note
from core.storage.notes import Note
from core.workspace import get_workspace

notes = typer.Typer(
    no_args_is_help=True, help="Notes on moments of stored data, and known events: list, events, add, remove."
)
Digest = Annotated[
    str, typer.Argument(metavar="DATASET", help="Digest of the data, as in addresses and in `runs show`.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@notes.command("list")
def list_notes(dataset: Digest, as_json: AsJson = False) -> None:
    """List the notes on a dataset, by their moment."""
    with exit_on_error():
        known_notes = read_notes(_load_dataset(dataset), get_workspace())
    if as_json:
        print_json({"notes": [_note_to_json(note) for note in known_notes]})
        return
    for note in known_notes:
        typer.echo(_format_note(note))
    if not known_notes:
        typer.echo("there is no note on these data")


@notes.command()
def events(
    dataset: Digest,
    calendar: Annotated[str, typer.Option(help="FR, DE-BY …, or none (default: what the data point to).")] = "",
    as_json: AsJson = False,
) -> None:
    """List all known events: holidays, school breaks, strikes, cold spells, clock changes and notes."""
    with exit_on_error():
        if calendar:
            check_calendar(calendar)
        table = list_known_events(_load_dataset(dataset), get_workspace(), EventSource(calendar=calendar))
    lines = [_event_to_json(row) for row in table.to_dict("records")]
    if as_json:
        print_json({"events": lines})
        return
    for line in lines:
        entities = ", ".join(line["entities"]) or "all"
        typer.echo(f"{line['start']} to {line['end']}  {line['kind']:12}  {line['label'] or '-'}  {entities}")


@notes.command()
def add(
    dataset: Digest,
    text: Annotated[str, typer.Argument(help="The note, at most 500 characters.")],
    at: Annotated[
        str, typer.Option(metavar="TIME", help="Moment on the clock of the data: 2024-01-31, 2024-01-31T13:00.")
    ],
    until: Annotated[str, typer.Option(metavar="TIME", help="Last moment (default: the same).")] = "",
    entity: Annotated[str, typer.Option(help="Only for this entity (default: all).")] = "",
    as_json: AsJson = False,
) -> None:
    """Add a note."""
    with exit_on_error():
        entry = NoteInput(text, _parse_time("--at", at), _parse_time("--until", until) if until else None, entity)
        note = add_note(entry, _load_dataset(dataset), workspace=get_workspace(), actor=command_actor("notes"))
    print_json(_note_to_json(note)) if as_json else typer.echo(_format_note(note))


@notes.command()
def remove(
    dataset: Digest,
    note_id: Annotated[str, typer.Argument(metavar="NOTE_ID", help="Id of the note, as `notes list` prints it.")],
    any_author: Annotated[bool, typer.Option("--any-author", help="Also remove a note of somebody else.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a note that you wrote."""
    with exit_on_error():
        note = remove_note(
            note_id,
            get_notes_digest(_load_dataset(dataset)),
            workspace=get_workspace(),
            actor=command_actor("notes"),
            is_own=not any_author,
        )
    print_json(_note_to_json(note)) if as_json else typer.echo(_format_note(note))


def _load_dataset(digest: str) -> Dataset:
    return get_workspace().datasets.load(digest)


def _parse_time(name: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is not None:
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name=name,
            value=text,
            accepted="2024-01-31, 2024-01-31T13:00",
        )
    return time


def _event_to_json(row: dict[Any, Any]) -> dict[str, Any]:
    label = "" if row["label"] is None else " ".join(str(row["label"]).split())
    times = {name: row[name].isoformat() for name in ("start", "end")}
    return {**times, "kind": row["kind"], "label": label, "entities": list(row["entities"])}


def _note_to_json(note: Note) -> dict[str, Any]:
    return note.model_dump(mode="json", exclude={"schema_version"})


def _format_note(note: Note) -> str:
    span = f"{note.start:%Y-%m-%dT%H:%M}" + (f" to {note.end:%Y-%m-%dT%H:%M}" if note.end != note.start else "")
    return f"{note.id}  {span}  {note.entity or 'all'}  {note.author}: {' '.join(note.text.split())}"
