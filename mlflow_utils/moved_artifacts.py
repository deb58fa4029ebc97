"""Places of artifacts in MLflow's SQLite file, which follow a folder that was moved, renamed or copied.

MLflow stores absolute paths. Without this a copied folder would write to the artifacts of the original.
"""

import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

logger = logging.getLogger(__name__)

FOLDER_NAME = "mlartifacts"
FORMER_ROOT = re.compile(rf"(file://.*/{FOLDER_NAME})(?:/[0-9]+)?")  # with the number of an experiment that MLflow made
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns with places of artifacts; earlier versions of MLflow lack some of them."""
BUSY_TIMEOUT_S = 10.0


def follow_moved_folder(file: Path, location: str | None) -> None:
    """Let the artifacts in a SQLite `file` of MLflow lie at `location`, if that is the folder beside the file.

    A place below a folder of the same name elsewhere is a former place of this folder. It is kept if its files are
    there and none of them is here, because somebody has then chosen it.
    """
    if not location or location != (file.parent / FOLDER_NAME).as_uri() or not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
            roots = _list_former_roots(connection, location)
            if not roots:
                return
            connection.execute("BEGIN IMMEDIATE")
            for root in roots:
                _replace_root(connection, root, location)
            connection.execute("COMMIT")
    except sqlite3.OperationalError as error:  # a read-only folder can be looked at
        logger.warning("the places of artifacts in %s could not be changed: %s", file, error)
        return
    logger.warning("the artifacts in %s lie at %s now, before at %s", file, location, ", ".join(roots))


def _list_former_roots(connection: sqlite3.Connection, location: str) -> list[str]:
    """List the folders of artifacts that have become `location`."""
    if ("artifact_location",) not in connection.execute("SELECT name FROM pragma_table_info('experiments')").fetchall():
        return []  # a new file
    places = [str(place) for (place,) in connection.execute("SELECT DISTINCT artifact_location FROM experiments")]
    roots = {match[1] for place in places if (match := FORMER_ROOT.fullmatch(place))} - {location}
    return sorted(root for root in roots if not _is_elsewhere(connection, root, location))


def _is_elsewhere(connection: sqlite3.Connection, root: str, location: str) -> bool:
    """Tell whether the files of the runs below `root` are there, and none of them is at `location`."""
    there, here = (Path(unquote(urlsplit(uri).path)) for uri in (root, location))
    query = "SELECT substr(artifact_uri, length(?) + 2) FROM runs WHERE substr(artifact_uri, 1, length(?) + 1) = ?"
    ends = [str(end) for (end,) in connection.execute(query, (root, root, f"{root}/"))]
    return any((there / end).exists() for end in ends) and not any((here / end).exists() for end in ends)


def _replace_root(connection: sqlite3.Connection, root: str, location: str) -> None:
    for table, column in PLACES:
        columns = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        if (column,) in columns:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, length(?) + 1)"
                f" WHERE {column} = ? OR substr({column}, 1, length(?) + 1) = ?",
                (location, root, root, root, f"{root}/"),
            )
