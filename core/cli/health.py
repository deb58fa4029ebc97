"""The command `python -m core health`: the state of the services."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from core import jobs
from core.operations.health import ServiceHealth, check_services, has_failure
from core.workspace import get_workspace

FAILURE_EXIT_CODE = 1


def health(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check every service: whether it answers, how fast, and how many records wait for delivery.

    The exit code is 1 if a configured service does not work.
    """
    services = check_services(get_workspace(), jobs.list_workers)
    if as_json:
        typer.echo(
            json.dumps(
                {"ok": not has_failure(services), "services": [_service_to_json(service) for service in services]}
            )
        )
    else:
        for service in services:
            typer.echo(_format_service(service))
    raise typer.Exit(FAILURE_EXIT_CODE if has_failure(services) else 0)


def _service_to_json(service: ServiceHealth) -> dict[str, Any]:
    return asdict(service) | {"problem": str(service.problem or "")}


def _format_service(service: ServiceHealth) -> str:
    pending = f"{service.backlog} pending" if service.backlog else ""
    rejected = f"{service.refused} rejected" if service.refused else ""
    details = " · ".join(
        filter(None, [service.version, service.place, pending, rejected, str(service.problem or ""), service.earlier])
    )
    return f"{service.name:12} {service.state:8} {service.seconds:5.2f} s  {details}"
