"""The command `python -m core health`: the state of the services."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from core import jobs
from core.cli.output import print_json
from core.errors import VigieError
from core.operations.health import OverallState, ServiceHealth, check_services, summarise_health
from core.operations.system_info import Setting, list_settings
from core.workspace import get_workspace

EXIT_CODES: dict[OverallState, int] = {"well": 0, "degraded": 1, "down": 2}


def health(
    require_worker: Annotated[
        bool, typer.Option("--require-worker", help="End with 1 also where no worker runs and no job waits for one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check every service: whether it answers, how fast, and how many records wait for delivery.

    The exit code is 0 if all is well, also where nothing runs and no job waits, as on a laptop at rest. It is 1 if
    something needs attention: records wait or were rejected, disk space is short, jobs wait and no worker runs, or a
    setting is misspelt. It is 2 if a configured service or the data folder does not work. The settings that are set are
    listed with their source, secrets masked.
    """
    try:
        workspace = get_workspace()
    except (VigieError, OSError) as error:
        problem = " ".join(str(error).split())
        typer.echo(problem, err=True)
        if as_json:
            print_json({"state": "down", "problem": problem, "services": [], "settings": []})
        raise typer.Exit(EXIT_CODES["down"]) from None
    services = check_services(workspace, jobs.list_workers, needs_worker=require_worker)
    settings = [setting for setting in list_settings(workspace.settings) if setting.source != "default"]
    state = summarise_health(services)
    if as_json:
        print_json(
            {
                "state": state,
                "problem": "",
                "services": [_service_to_json(service) for service in services],
                "settings": [asdict(setting) for setting in settings],
            }
        )
    else:
        for line in (*map(_format_service, services), *map(_format_setting, settings), f"state: {state}"):
            typer.echo(line)
    raise typer.Exit(EXIT_CODES[state])


def _service_to_json(service: ServiceHealth) -> dict[str, Any]:
    return asdict(service) | {"problem": str(service.problem or "")}


def _format_service(service: ServiceHealth) -> str:
    pending = f"{service.backlog} pending" if service.backlog else ""
    rejected = f"{service.refused} rejected" if service.refused else ""
    details = " · ".join(
        filter(None, [service.version, service.place, pending, rejected, str(service.problem or ""), service.earlier])
    )
    return f"{service.name:12} {service.state:8} {service.seconds:5.2f} s  {details}"


def _format_setting(setting: Setting) -> str:
    return f"{setting.name} = {setting.value}  ({setting.source})"
