"""The commands `python -m core backup` and `restore`: the data folder in one file."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.options import exit_on_error
from core.redaction import strip_secrets
from core.settings import Settings
from core.storage.backup import Backup, restore_backup, write_backup
from core.workspace import read_settings


def backup(archive: Annotated[Path, typer.Argument(metavar="FILE", help="New file, for instance vigie.zip.")]) -> None:
    """Write the data folder to one file, also while the app and workers run.

    What services hold is not in it: the command names them. Renderings, open uploads and raw call records are left out.
    """
    config = read_settings()
    with exit_on_error():
        written = write_backup(config.vigie_data_dir.resolve(), archive)
    typer.echo(f"{describe_backup(written)} written to {archive}")
    for service in list_services(config):
        typer.echo(f"not in it: {service}", err=True)


def restore(archive: Annotated[Path, typer.Argument(metavar="FILE", help="File that `backup` wrote.")]) -> None:
    """Unpack a backup into the data folder, which must be empty or missing.

    Every file is checked first. A backup of an earlier version is brought up to date.
    """
    config = read_settings()
    folder = config.vigie_data_dir.resolve()
    with exit_on_error():
        restored = restore_backup(archive, folder)
    typer.echo(f"{describe_backup(restored)} of version {restored.version} restored to {folder}")
    for service in list_services(config):
        typer.echo(f"restore it apart: {service}", err=True)


def describe_backup(written: Backup) -> str:
    """Return the number and size of the files of a backup."""
    return f"{written.files} files, {written.total_bytes / 1e6:.1f} MB,"


def list_services(config: Settings) -> list[str]:
    """List what lies outside the data folder, with the tool that backs it up."""
    services = []
    if config.database_url.get_secret_value():
        services.append("accounts, jobs and watches in DATABASE_URL (pg_dump)")
    if config.mlflow_tracking_uri:
        services.append(f"database and artifacts of the MLflow server {config.mlflow_tracking_uri}")
    elif config.mlflow_artefacts_location:
        services.append(f"artifacts of MLflow in {config.mlflow_artefacts_location}")
    if config.s3_bucket_name:
        services.append(f"delivered feedback in the bucket {config.s3_bucket_name}")
    return [strip_secrets(service, config) for service in services]
