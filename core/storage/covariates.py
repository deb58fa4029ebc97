"""Storage of covariates known in advance: one folder per digest.

Each table is a Parquet file, and a second one with the values at the times of the day, if it has any. A JSON file
holds the kinds, file names and notes of all tables.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from typing_extensions import override

from core.data.covariates import CovariateTable
from core.data.quality.findings import Finding
from core.errors import NotFoundError
from core.messages import N_, Message
from core.storage.digest_folders import DigestFolders

METADATA_FILE = "covariates.json"


class CovariateStore(DigestFolders[int]):
    """Covariate tables in `folder`, in one subfolder per digest."""

    def save(self, tables: Sequence[CovariateTable]) -> str:
        """Store the tables in the given order and return their common digest."""
        digest = hashlib.sha256("".join(table.digest for table in tables).encode()).hexdigest()
        self.write_once(digest, lambda draft: _write_tables(tables, draft))
        return digest

    def load(self, digest: str) -> list[CovariateTable]:
        """Return the tables of a digest.

        Raises NotFoundError for a digest that is not stored here, and for damaged files.
        """
        return self.read_folder(digest, _read_tables)

    @override
    def make_missing_error(self, digest: str) -> NotFoundError:
        return NotFoundError(
            N_("The covariates {digest} are not stored here. Load their files again."), digest=digest[:12]
        )

    @override
    def make_damaged_error(self, digest: str, file: str) -> NotFoundError:
        return NotFoundError(
            N_("The stored covariates {digest} are damaged ({file}). Load their files again, which repairs them."),
            digest=digest[:12],
            file=file or "?",
        )

    @override
    def read_info(self, table_folder: Path) -> int:
        return len(_read_metadata(table_folder))


def _read_metadata(table_folder: Path) -> list[dict[str, Any]]:
    metadata: list[dict[str, Any]] = json.loads((table_folder / METADATA_FILE).read_text(encoding="utf-8"))
    return metadata


def _read_tables(table_folder: Path) -> list[CovariateTable]:
    return [
        _read_table(table_folder / f"{number}.parquet", table_metadata)
        for number, table_metadata in enumerate(_read_metadata(table_folder))
    ]


def _write_tables(tables: Sequence[CovariateTable], folder: Path) -> None:
    for number, table in enumerate(tables):
        _write_frame(table.frame, folder / f"{number}.parquet")
        if table.intraday is not None:
            _write_frame(table.intraday, folder / f"{number}.intraday.parquet")
    metadata = [_table_to_json(table) for table in tables]
    (folder / METADATA_FILE).write_text(json.dumps(metadata, ensure_ascii=False), encoding="utf-8")


def _write_frame(frame: pd.DataFrame, path: Path) -> None:
    frame.add_prefix("value/").reset_index().to_parquet(path, index=False, compression="zstd")


def _read_frame(path: Path, time: str) -> pd.DataFrame:
    frame = pd.read_parquet(path).astype({time: "datetime64[ns]"}).set_index(["place", time])
    frame.columns = frame.columns.str.removeprefix("value/")
    return frame


def _table_to_json(table: CovariateTable) -> dict[str, Any]:
    return {
        "kind": table.kind,
        "file": table.file,
        "notes": [
            {
                "kind": note.kind,
                "count": note.count,
                "template": note.message.template,
                "values": dict(note.message.values),
                "where": [dict(location) for location in note.locations],
            }
            for note in table.notes
        ],
    }


def _read_table(path: Path, metadata: dict[str, Any]) -> CovariateTable:
    frame, intraday_path = _read_frame(path, "day"), path.with_suffix(".intraday.parquet")
    intraday = _read_frame(intraday_path, "time") if intraday_path.exists() else None
    notes = (
        Finding(note["kind"], note["count"], Message(note["template"], note["values"]), tuple(note["where"]))
        for note in metadata["notes"]
    )
    return CovariateTable(metadata["kind"], frame, metadata["file"], tuple(notes), intraday)
