"""Storage of covariates known in advance: one folder per digest.

Each table is a Parquet file; a JSON file holds the kinds, file names and notes of all tables.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd

from core.data.covariates import CovariateTable
from core.data.quality.findings import Finding
from core.errors import NotFoundError
from core.messages import N_, Text


class CovariateStore:
    """Covariate tables in `folder`, in one subfolder per digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, tables: Sequence[CovariateTable]) -> str:
        """Store the tables in the given order and return their common digest.

        The folder appears only when it is complete, so `load` never reads a partial one after a crash.
        """
        digest = hashlib.sha256("".join(table.digest for table in tables).encode()).hexdigest()
        place = self.folder / digest
        if place.is_dir():
            os.utime(place)
            return digest
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{digest}-{uuid4().hex}"
        draft.mkdir()
        try:
            for number, table in enumerate(tables):
                rows = table.frame.add_prefix("value/").reset_index()
                rows.to_parquet(draft / f"{number}.parquet", index=False, compression="zstd")
            described = [_described(table) for table in tables]
            (draft / "drivers.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
            draft.rename(place)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if not place.is_dir():  # otherwise another session has just stored the same tables
                raise
        return digest

    def load(self, digest: str) -> list[CovariateTable]:
        """Return the tables of a digest.

        Raises NotFoundError for a digest that is not stored here.
        """
        place = self.folder / digest
        if not (digest.isalnum() and place.is_dir()):
            raise NotFoundError(
                N_("The drivers {digest} are not stored here; load their files again."), digest=digest[:12]
            )
        described = json.loads((place / "drivers.json").read_text(encoding="utf-8"))
        return [_table(place / f"{number}.parquet", each) for number, each in enumerate(described)]


def _described(table: CovariateTable) -> dict[str, Any]:
    return {
        "kind": table.kind,
        "file": table.file,
        "notes": [
            {
                "kind": note.kind,
                "count": note.count,
                "template": note.text.template,
                "values": dict(note.text.values),
                "where": [dict(place) for place in note.where],
            }
            for note in table.notes
        ],
    }


def _table(path: Path, described: dict[str, Any]) -> CovariateTable:
    frame = pd.read_parquet(path).astype({"day": "datetime64[ns]"}).set_index(["place", "day"])
    frame.columns = frame.columns.str.removeprefix("value/")
    notes = (
        Finding(each["kind"], each["count"], Text(each["template"], each["values"]), tuple(each["where"]))
        for each in described["notes"]
    )
    return CovariateTable(described["kind"], frame, described["file"], tuple(notes))
