"""The commands `python -m core watch recipients list|add|try|remove`: who is told about incidents."""

import sys
from typing import Annotated, Any

import typer

from core.cli.options import command_actor, exit_on_error
from core.cli.output import print_json
from core.cli.watch_options import build_model, format_text, to_json
from core.errors import OptionError
from core.messages import N_
from core.watches.watch import Recipient
from core.workspace import get_workspace

MAX_ADDRESS_CHARS = 2000
FROM_INPUT = "-"

recipients = typer.Typer(no_args_is_help=True, help="Who is told about incidents: list, add, try, remove.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the recipient: small letters, digits and hyphens.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@recipients.command("list")
def list_recipients(as_json: AsJson = False) -> None:
    """List the recipients. Of an address that may hold a secret, only its beginning is printed."""
    from core.operations.watching import watches

    with exit_on_error():
        known_recipients = watches.list_recipients(get_workspace())
    if as_json:
        print_json({"recipients": [_recipient_to_json(recipient) for recipient in known_recipients]})
        return
    for recipient in known_recipients:
        typer.echo(_format_recipient(recipient))
    if not known_recipients:
        typer.echo("there is no recipient")


@recipients.command()
def add(
    name: Name,
    mail: Annotated[str, typer.Option(metavar="ADDRESS", help="A mail address.")] = "",
    webhook: Annotated[
        str, typer.Option(metavar="URL", help="An address that takes signed JSON; - reads it from a line.")
    ] = "",
    chat: Annotated[
        str, typer.Option(metavar="ADDRESS", help="An Apprise address, such as slack://…; - reads it from a line.")
    ] = "",
    language: Annotated[str, typer.Option(metavar="en|fr", help="Language of the messages.")] = "en",
    zone: Annotated[str, typer.Option(help="Time zone of the quiet hours and of times in messages.")] = "UTC",
    quiet: Annotated[
        str, typer.Option(metavar="FROM-UNTIL", help="Hours with severity 3 only, such as 22:00-07:00.")
    ] = "",
    max_per_hour: Annotated[int, typer.Option(help="Messages in an hour; further ones come together.")] = 12,
    as_json: AsJson = False,
) -> None:
    """Add a recipient, or replace the one of this name.

    An address that holds a secret is best read from standard input: an argument appears in the list of processes.
    """
    from core.operations.watching import watches

    with exit_on_error():
        channel, address = _choose_channel(mail, webhook, chat)
        quiet_from, dash, quiet_until = quiet.partition("-")
        if quiet and not dash:
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name="--quiet",
                value=quiet[:100],
                accepted="22:00-07:00",
            )
        recipient = build_model(
            Recipient,
            "recipients add",
            name=name,
            channel=channel,
            address=address,
            language=language,
            zone=zone,
            quiet_from=quiet_from.strip(),
            quiet_until=quiet_until.strip(),
            max_per_hour=max_per_hour,
        )
        added = watches.add_recipient(recipient, get_workspace(), command_actor("watch recipients add"))
    print_json(_recipient_to_json(added)) if as_json else typer.echo(_format_recipient(added))


@recipients.command("try")
def send_trial(name: Name, as_json: AsJson = False) -> None:
    """Send a test message now, and tell the exact error if it cannot be delivered."""
    from core.operations.watching.delivery import try_recipient

    with exit_on_error():
        workspace = get_workspace()
        recipient = workspace.watches.recipients.load_recipient(name)
        try_recipient(recipient, workspace, command_actor("watch recipients try"))
    print_json({"sent": name}) if as_json else typer.echo(f"a test message was sent to {name}")


@recipients.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Delete a recipient that no watch names."""
    from core.operations.watching import watches

    with exit_on_error():
        watches.remove_recipient(name, get_workspace(), command_actor("watch recipients remove"))
    print_json({"removed": name}) if as_json else typer.echo(f"{name} removed")


def _choose_channel(mail: str, webhook: str, chat: str) -> tuple[str, str]:
    """Return channel and address, the latter of "-" from standard input. Raises OptionError unless one is given."""
    addresses = {"mail": mail, "webhook": webhook, "chat": chat}
    chosen = [(channel, address) for channel, address in addresses.items() if address]
    if len(chosen) != 1:
        raise OptionError(N_("Give exactly one of these options: {options}."), options="--mail / --webhook / --chat")
    [(channel, address)] = chosen
    return channel, sys.stdin.readline(MAX_ADDRESS_CHARS + 1).strip() if address == FROM_INPUT else address


def _recipient_to_json(recipient: Recipient) -> dict[str, Any]:
    from core.storage.channels.sending import describe_recipient

    return to_json(recipient, exclude={"schema_version"}) | {"address": describe_recipient(recipient)}


def _format_recipient(recipient: Recipient) -> str:
    from core.storage.channels.sending import describe_recipient

    quiet = f"  quiet {recipient.quiet_from}-{recipient.quiet_until}" if recipient.quiet_from else ""
    address = format_text(describe_recipient(recipient))
    return f"{recipient.name:24} {recipient.channel:8} {address:40} {recipient.language}  {recipient.zone}{quiet}"
