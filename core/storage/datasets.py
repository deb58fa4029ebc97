"""Storage of datasets: one folder per digest, with a Parquet file of the rows and a JSON file of the metadata."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from typing_extensions import override

from core.data.columns import ColumnReading
from core.data.dataset import Dataset
from core.data.outline import Outline, outline_first_entity
from core.data.quality.findings import Finding, Repair
from core.data.read_options import ReadOptions
from core.errors import NotFoundError
from core.messages import N_, Message
from core.spec.codec import decode, encode
from core.storage.digest_folders import DigestFolders

ROWS_FILE, METADATA_FILE = "rows.parquet", "dataset.json"
TABLE_PARTS = ("frame", "covariates", "context")


@dataclass(frozen=True)
class DatasetInfo:
    """Summary of a stored dataset, for lists."""

    digest: str
    files: tuple[str, ...]
    layout: str
    rows: int
    entities: int
    repairs: int
    stored: str


class DatasetStore(DigestFolders[DatasetInfo]):
    """Datasets in `folder`, in one subfolder per digest."""

    def save(self, dataset: Dataset, user: str = "") -> str:
        """Store the dataset, record it as a dataset of `user`, and return its digest."""
        self.write_once(dataset.digest, lambda draft: _write_dataset(dataset, draft))
        if user:
            self.record_user(dataset.digest, user)
        return dataset.digest

    def load(self, digest: str) -> Dataset:
        """Return the dataset of a digest.

        Raises NotFoundError for a digest that is not stored here, and for a damaged one.
        """
        return self.read_folder(digest, _read_dataset)

    def load_outline(self, digest: str) -> Outline:
        """Return the outline of a dataset; reads no more columns than it shows.

        Raises NotFoundError for a digest that is not stored here, and for a damaged one.
        """
        return self.read_folder(digest, _read_outline)

    @override
    def make_missing_error(self, digest: str) -> NotFoundError:
        return NotFoundError(N_("The dataset {digest} is not stored here. Load its files again."), digest=digest[:12])

    @override
    def make_damaged_error(self, digest: str, file: str) -> NotFoundError:
        return NotFoundError(
            N_("The stored dataset {digest} is damaged ({file}). Load its files again, which repairs it."),
            digest=digest[:12],
            file=file or "?",
        )

    @override
    def read_info(self, dataset_folder: Path) -> DatasetInfo:
        metadata = _read_metadata(dataset_folder)
        used_at = datetime.fromtimestamp(dataset_folder.stat().st_mtime, UTC)
        return DatasetInfo(
            dataset_folder.name,
            tuple(metadata["files"]),
            metadata["layout"],
            metadata["rows"],
            metadata["entities"],
            len(metadata["recipe"]),
            used_at.isoformat(timespec="seconds"),
        )


def _read_metadata(folder: Path) -> dict[str, Any]:
    metadata: dict[str, Any] = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
    return metadata


def _read_dataset(folder: Path) -> Dataset:
    return _build_dataset(pyarrow.parquet.read_table(folder / ROWS_FILE), _read_metadata(folder))


def _read_outline(folder: Path) -> Outline:
    with pyarrow.parquet.ParquetFile(folder / ROWS_FILE) as file:
        columns = [name for name in file.schema_arrow.names if name.startswith("frame/")]
        columns = columns if _read_metadata(folder)["profile"] else columns[:1]
        rows = file.read(["entity", "time", *columns]).to_pandas()
    return outline_first_entity(rows["entity"].cat.codes, rows["time"], rows[columns].to_numpy(dtype=float))


def _write_dataset(dataset: Dataset, folder: Path) -> None:
    pyarrow.parquet.write_table(_build_rows(dataset), folder / ROWS_FILE, compression="zstd")
    (folder / METADATA_FILE).write_text(json.dumps(_dataset_to_json(dataset), ensure_ascii=False), encoding="utf-8")


def _build_rows(dataset: Dataset) -> pa.Table:
    columns: dict[str, Any] = {
        "entity": pa.DictionaryArray.from_arrays(pa.array(dataset.entity_codes, pa.int32()), dataset.entities),
        "time": pa.array(dataset.time),
    }
    for part in TABLE_PARTS:
        table = getattr(dataset, part)
        for name in () if table is None else table.columns:
            columns[f"{part}/{name}"] = pa.Array.from_pandas(table[name])
    if dataset.labels is not None:
        columns["labels/label"] = pa.array(dataset.labels.to_numpy())
    if dataset.fold is not None:
        columns["fold/fold"] = pa.array(dataset.fold.to_numpy())
    return pa.table(columns)


def _dataset_to_json(dataset: Dataset) -> dict[str, Any]:
    return {
        "digest": dataset.digest,
        "layout": dataset.layout,
        "unit": dataset.unit,
        "profile": dataset.profile,
        "step": None if dataset.step is None else dataset.step.total_seconds(),
        "day_start": dataset.day_start,
        "zone": dataset.zone,
        "readings": encode(dataset.readings),
        "read_options": encode(dataset.read_options),
        "files": list(dataset.files),
        "source": dataset.source,
        "rows": len(dataset),
        "entities": len(dataset.entities),
        "recipe": [repair.to_json() for repair in dataset.recipe],
        "notes": [
            {
                "kind": note.kind,
                "count": note.count,
                "template": note.message.template,
                "values": dict(note.message.values),
                "where": [dict(location) for location in note.locations],
            }
            for note in dataset.notes
        ],
    }


def _build_dataset(rows: pa.Table, metadata: dict[str, Any]) -> Dataset:
    time = rows["time"].to_pandas()
    index = pd.MultiIndex.from_arrays(
        [
            rows["entity"].to_pandas(),
            pd.DatetimeIndex(time) if pd.api.types.is_datetime64_dtype(time) else pd.Index(time),
        ],
        names=["entity", "time"],
    )
    parts = {part: _read_part(rows, part, index) for part in (*TABLE_PARTS, "labels", "fold")}
    frame, labels, fold = parts["frame"], parts["labels"], parts["fold"]
    return Dataset(
        frame=pd.DataFrame(index=index) if frame is None else frame,
        covariates=parts["covariates"],
        context=parts["context"],
        labels=None if labels is None else labels["label"],
        zone=metadata.get("zone", ""),
        fold=None if fold is None else fold["fold"],
        readings=decode(tuple[ColumnReading, ...], metadata.get("readings", [])),
        read_options=decode(ReadOptions, metadata.get("read_options", {})),
        layout=metadata["layout"],
        unit=metadata["unit"],
        profile=metadata["profile"],
        step=None if metadata["step"] is None else pd.Timedelta(seconds=metadata["step"]),
        day_start=metadata["day_start"],
        files=tuple(metadata["files"]),
        source=metadata["source"],
        recipe=tuple(Repair(item["kind"], item["settings"]) for item in metadata["recipe"]),
        notes=tuple(
            Finding(item["kind"], item["count"], Message(item["template"], item["values"]), tuple(item["where"]))
            for item in metadata["notes"]
        ),
    )


def _read_part(rows: pa.Table, part: str, index: pd.MultiIndex) -> pd.DataFrame | None:
    names = [name for name in rows.column_names if name.startswith(f"{part}/")]
    if not names:
        return None
    table = rows.select(names).to_pandas(split_blocks=True)
    if part == "frame":
        table = pd.DataFrame(table.to_numpy(dtype=float), columns=names)
    table.columns = pd.Index([name.partition("/")[2] for name in names])
    return table.set_axis(index, axis=0)
