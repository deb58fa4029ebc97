"""The command line: `python -m core --help`."""

import logging

import typer

from core.cli.cluster import cluster
from core.cli.convert import convert
from core.cli.detect import detect
from core.cli.doctor import doctor
from core.cli.forecast import forecast
from core.cli.health import health
from core.cli.models import models
from core.cli.runs import runs
from core.cli.sample import sample
from core.cli.scale import scale
from core.cli.sequences import sequences
from core.cli.serve import serve
from core.cli.users import users
from core.cli.worker import worker

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
for command in (doctor, detect, cluster, forecast, sample, scale, serve, worker, health):
    app.command()(command)
app.add_typer(models, name="models")
app.add_typer(runs, name="runs")
app.add_typer(convert, name="convert")
app.add_typer(sequences, name="sequences")
app.add_typer(users, name="users")

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    app(prog_name="python -m core")
