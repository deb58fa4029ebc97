"""`python -m core health`: how the services are."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from core import jobs
from core.operations.health import ServiceHealth, check_services, fails
from core.workspace import get_workspace

FAILING = 1


def health(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Every service this product uses: does it answer, how fast, and what waits to be sent to it.

    Ends with 1 where one that is set does not.
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
