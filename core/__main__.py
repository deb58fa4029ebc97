"""The command line: `python -m core --help`."""

import logging

import typer

from core.commands.cluster import cluster
from core.commands.convert import convert
from core.commands.detect import detect
from core.commands.doctor import doctor
from core.commands.forecast import forecast
from core.commands.health import health
from core.commands.models import models
from core.commands.runs import runs
from core.commands.sample import sample
from core.commands.scale import scale
from core.commands.sequences import sequences
from core.commands.serve import serve
from core.commands.users import users
from core.commands.worker import worker

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
