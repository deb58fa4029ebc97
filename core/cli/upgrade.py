"""The command `python -m core upgrade`: data of an earlier version, brought up to date."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.options import exit_on_error
from core.operations.upgrades import upgrade_data
from core.workspace import read_settings


def upgrade(
    backup: Annotated[
        Path | None,
        typer.Option(help="File of the backup that is made first. Default: a new one in backups/ of the data folder."),
    ] = None,
    mlflow_database: Annotated[
        str,
        typer.Option(
            envvar="MLFLOW_BACKEND_STORE_URI",
            help="Database of the MLflow server, as in --backend-store-uri. Default: that of the data folder.",
        ),
    ] = "",
) -> None:
    """Bring the data folder, accounts, watches and MLflow's database up to date, after a backup of the data folder.

    Stop the app, its workers and the MLflow server before. Nothing is changed where everything is up to date.
    PostgreSQL is not in the backup: use pg_dump before.
    """
    with exit_on_error():
        upgrade_data(read_settings(), mlflow_database, backup, typer.echo)
