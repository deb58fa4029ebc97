"""The command line: `python -m core --help`."""

import logging
import sys

import typer

from core.cli.convert import convert
from core.cli.doctor import doctor
from core.cli.health import health
from core.cli.models import models
from core.cli.notes import notes
from core.cli.report import report
from core.cli.runs import runs
from core.cli.sample import sample
from core.cli.sequences import sequences
from core.cli.serve import serve
from core.cli.task_commands import add_task_commands
from core.cli.threshold import threshold
from core.cli.users import users
from core.cli.worker import worker
from core.errors import VigieError
from core.storage.data_folder import restrict_new_files


def build_app() -> typer.Typer:
    """Return the command line: the commands of the tasks and those about everything else."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
    groups = {
        "models": models,
        "runs": runs,
        "notes": notes,
        "convert": convert,
        "sequences": sequences,
        "users": users,
    }
    app.command()(doctor)
    add_task_commands(app, groups)
    for command in (report, threshold, sample, serve, worker, health):
        app.command()(command)
    for name, group in groups.items():
        app.add_typer(group, name=name)
    return app


def main() -> None:
    """Run a command; an error that it does not expect of the data folder or a service is one line."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    restrict_new_files()
    try:
        build_app()(prog_name="python -m core")
    except (VigieError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
