"""The command line: `python -m core --help`."""

import logging
import sys
from pathlib import Path

import typer

from core.cli.backup import backup, restore
from core.cli.convert import convert
from core.cli.doctor import doctor
from core.cli.health import health
from core.cli.incidents import incidents
from core.cli.jobs import jobs
from core.cli.models import models
from core.cli.notes import notes
from core.cli.prune import prune_data
from core.cli.report import report
from core.cli.runs import runs
from core.cli.sample import sample
from core.cli.sequences import sequences
from core.cli.serve import serve
from core.cli.task_commands import add_task_commands
from core.cli.threshold import threshold
from core.cli.upgrade import upgrade
from core.cli.users import users
from core.cli.watch import watch
from core.cli.worker import worker
from core.errors import VigieError
from core.settings import load_environment
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
        "watch": watch,
        "incidents": incidents,
    }
    app.command()(doctor)
    add_task_commands(app, groups)
    for command in (report, threshold, sample, serve, worker, jobs, health, backup, restore, upgrade):
        app.command()(command)
    app.command("prune")(prune_data)
    for name, group in groups.items():
        app.add_typer(group, name=name)
    return app


def main() -> None:
    """Run a command; an error that it does not expect of the data folder or a service is one line."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        load_environment()
        restrict_new_files()
        build_app()(prog_name="vigie" if Path(sys.argv[0]).name == "vigie" else "python -m core")
    except (VigieError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
