"""`python -m core worker`: what goes on beside the pages. Now: runs that wait are delivered to MLflow."""

import time
from typing import Annotated

import typer

from core.run import workplace


def worker(
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 5.0,
    once: Annotated[bool, typer.Option(help="Look once and end.")] = False,
) -> None:
    """Deliver spooled runs to MLflow as soon as it answers."""
    at = workplace()
    while True:
        delivered = at.tracking.replay()
        if delivered:
            typer.echo(f"{delivered} runs delivered", err=True)
        if once:
            return
        time.sleep(every)
