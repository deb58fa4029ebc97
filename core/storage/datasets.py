"""Storage of datasets: one folder per digest, with a Parquet file of the rows and a JSON file of the metadata."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from core.data.dataset import Dataset
from core.data.quality.findings import Finding, Repair
from core.errors import NotFoundError
from core.messages import N_, Text

PARTS = ("frame", "drivers", "context")


@dataclass(frozen=True)
class Stored:
    """Summary of a stored dataset, for lists."""

    digest: str
    files: tuple[str, ...]
    layout: str
    rows: int
    entities: int
    repairs: int
    stored: str


class Datasets:
    """Datasets in `folder`, in one subfolder per digest.

    `folder/.users` records the datasets of each user under a hash of the user name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, dataset: Dataset, user: str = "") -> str:
        """Store the dataset, record it as a dataset of `user`, and return its digest.

        The folder appears only when it is complete, so `load` never reads a partial one after a crash.
        """
        self._store(dataset)
        if user:
            self._of(user).mkdir(parents=True, exist_ok=True)
            (self._of(user) / dataset.digest).touch()
        return dataset.digest

    def _store(self, dataset: Dataset) -> None:
        place = self.folder / dataset.digest
        if place.is_dir():
            os.utime(place)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{dataset.digest}-{uuid4().hex}"
        draft.mkdir()
        try:
            pyarrow.parquet.write_table(_rows(dataset), draft / "rows.parquet", compression="zstd")
            (draft / "dataset.json").write_text(json.dumps(_described(dataset), ensure_ascii=False), encoding="utf-8")
            draft.rename(place)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if not place.is_dir():  # otherwise another session has just stored the same dataset
                raise

    def load(self, digest: str) -> Dataset:
        """Return the dataset of a digest.

        Raises NotFoundError for a digest that is not stored here.
        """
        place = self.folder / digest
        if not (digest.isalnum() and place.is_dir()):
            raise NotFoundError(
                N_("The dataset {digest} is not stored here; load its files again."), digest=digest[:12]
            )
        described = json.loads((place / "dataset.json").read_text(encoding="utf-8"))
        return _dataset(pyarrow.parquet.read_table(place / "rows.parquet"), described)

    def recent(self, limit: int = 20, user: str = "") -> list[Stored]:
        """Return the most recently used datasets, newest first: those of `user`, or of all users if it is empty."""
        noted = self._of(user) if user else self.folder
        places = sorted(noted.glob("[0-9a-f]*"), key=lambda place: place.stat().st_mtime, reverse=True)
        stored = (self.folder / place.name for place in places)
        return [self._stored(place) for place in islice((place for place in stored if place.is_dir()), limit)]

    def _of(self, user: str) -> Path:
        return self.folder / ".users" / hashlib.sha256(user.encode()).hexdigest()

    def _stored(self, place: Path) -> Stored:
        described = json.loads((place / "dataset.json").read_text(encoding="utf-8"))
        when = datetime.fromtimestamp(place.stat().st_mtime, UTC)
        return Stored(
            place.name,
            tuple(described["files"]),
            described["layout"],
            described["rows"],
            described["entities"],
            len(described["recipe"]),
            when.isoformat(timespec="seconds"),
        )


def _rows(dataset: Dataset) -> pa.Table:
    columns: dict[str, Any] = {
        "entity": pa.DictionaryArray.from_arrays(pa.array(dataset.entity_codes, pa.int32()), dataset.entities),
        "time": pa.array(dataset.time),
    }
    for part in PARTS:
        table = getattr(dataset, part)
        for name in () if table is None else table.columns:
            columns[f"{part}/{name}"] = pa.Array.from_pandas(table[name])
    if dataset.labels is not None:
        columns["labels/label"] = pa.array(dataset.labels.to_numpy())
    return pa.table(columns)


def _described(dataset: Dataset) -> dict[str, Any]:
    return {
        "digest": dataset.digest,
        "layout": dataset.layout,
        "unit": dataset.unit,
        "profile": dataset.profile,
        "step": None if dataset.step is None else dataset.step.total_seconds(),
        "day_start": dataset.day_start,
        "files": list(dataset.files),
        "source": dataset.source,
        "rows": len(dataset),
        "entities": len(dataset.entities),
        "recipe": [repair.to_json() for repair in dataset.recipe],
        "notes": [
            {
                "kind": note.kind,
                "count": note.count,
                "template": note.text.template,
                "values": dict(note.text.values),
                "where": [dict(place) for place in note.where],
            }
            for note in dataset.notes
        ],
    }


def _dataset(rows: pa.Table, described: dict[str, Any]) -> Dataset:
    time = rows["time"].to_pandas()
    index = pd.MultiIndex.from_arrays(
        [
            rows["entity"].to_pandas(),
            pd.DatetimeIndex(time) if pd.api.types.is_datetime64_dtype(time) else pd.Index(time),
        ],
        names=["entity", "time"],
    )
    found = {part: _part(rows, part, index) for part in (*PARTS, "labels")}
    labels = found.pop("labels")
    return Dataset(
        **found,
        labels=None if labels is None else labels["label"],
        layout=described["layout"],
        unit=described["unit"],
        profile=described["profile"],
        step=None if described["step"] is None else pd.Timedelta(seconds=described["step"]),
        day_start=described["day_start"],
        files=tuple(described["files"]),
        source=described["source"],
        recipe=tuple(Repair(each["kind"], each["settings"]) for each in described["recipe"]),
        notes=tuple(
            Finding(each["kind"], each["count"], Text(each["template"], each["values"]), tuple(each["where"]))
            for each in described["notes"]
        ),
    )


def _part(rows: pa.Table, part: str, index: pd.MultiIndex) -> pd.DataFrame | None:
    names = [name for name in rows.column_names if name.startswith(f"{part}/")]
    if not names:
        return None
    table = rows.select(names).to_pandas(split_blocks=True)
    if part == "frame":
        table = pd.DataFrame(table.to_numpy(dtype=float), columns=names)
    table.columns = pd.Index([name.partition("/")[2] for name in names])
    return table.set_axis(index, axis=0)
