"""The command `python -m core health`: the state of the services."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from core import jobs
from core.operations.health import ServiceHealth, check_services, fails
from core.workspace import get_workspace

FAILING = 1


def health(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check every service: whether it answers, how fast, and how many records wait for delivery.

    The exit code is 1 if a configured service does not work.
    """
    services = check_services(get_workspace(), jobs.list_workers)
    if as_json:
        typer.echo(json.dumps({"ok": not fails(services), "services": [_answer(each) for each in services]}))
    else:
        for each in services:
            typer.echo(_line(each))
    raise typer.Exit(FAILING if fails(services) else 0)


def _answer(service: ServiceHealth) -> dict[str, Any]:
    return asdict(service) | {"problem": str(service.problem or "")}


def _line(service: ServiceHealth) -> str:
    waiting = f"{service.backlog} waiting" if service.backlog else ""
    refused = f"{service.refused} refused" if service.refused else ""
    told = " · ".join(
        filter(None, [service.version, service.place, waiting, refused, str(service.problem or ""), service.earlier])
    )
    return f"{service.name:12} {service.state:8} {service.seconds:5.2f} s  {told}"
