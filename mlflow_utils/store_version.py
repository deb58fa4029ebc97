"""Version of the tables of MLflow's database, compared with the installed MLflow without its slow import."""

import re
import sqlite3
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

StoreVersion = Literal["current", "older", "newer"]
"""Version of tables: that of the installed MLflow, one of its earlier ones, or one that it does not know."""

SQLITE = "sqlite:///"
MIGRATIONS = Path("store", "db_migrations", "versions")
REVISION = re.compile(r"^revision\s*(?::[^=\n]*)?=\s*[\"'](\w+)[\"']", re.MULTILINE)
FORMER_REVISIONS = re.compile(r"^down_revision\s*(?::[^=\n]*)?=\s*(.+)$", re.MULTILINE)


def read_file_version(file: Path) -> StoreVersion:
    """Return the version of the tables in a SQLite file; a missing, empty or locked one counts as current."""
    revision = _read_revision(file)
    if not revision:
        return "current"
    known, latest = list_revisions()
    return "current" if revision == latest else "older" if revision in known else "newer"


@cache
def list_revisions() -> tuple[frozenset[str], str]:
    """Return the revisions that the installed MLflow knows, and the latest of them."""
    spec = find_spec("mlflow")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations))) / MIGRATIONS
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    revisions = {match[1] for text in texts if (match := REVISION.search(text))}
    former = {
        name for text in texts for match in FORMER_REVISIONS.finditer(text) for name in re.findall(r"\w+", match[1])
    }
    [latest] = revisions - former
    return frozenset(revisions), latest


def _read_revision(file: Path) -> str:
    if not file.exists():
        return ""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.DatabaseError:  # no such table, locked, or damaged, which the repair finds
        return ""
    return str(rows[0][0]) if rows else ""
