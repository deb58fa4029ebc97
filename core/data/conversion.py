"""Conversion of NetMob23 to windows or one table, and of windows to one table.

Some tiles, or one window, are in memory at a time.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from core.data.ingest.concatenation import drop_duplicate_rows
from core.data.ingest.file_types import CITY_FILE_NAME, TILE_FILE_NAME
from core.data.ingest.files import SkippedFile, natural_sort_key, open_sources
from core.data.ingest.layouts.netmob import NetMob
from core.data.ingest.readers import ProgressCallback, RawTable, group_files, ignore_progress, read_group
from core.data.ingest.readers.netmob import read_netmob
from core.data.seq_writer import WINDOW_ROWS, write_seq
from core.data.series import split_by_entity
from core.data.timestamp_format import format_stamps
from core.errors import DataError, InputError, UnreadableFileError
from core.exports import CsvFormat, write_csv
from core.messages import N_, Message

TILES_PER_BATCH = 200

OutputFormat = Literal["seq", "parquet", "csv"]


@dataclass
class ConversionResult:
    """Result of a conversion: counts of what was read and written, and the skipped files and series."""

    output: Path
    files: int = 0
    entities: int = 0
    rows: int = 0
    windows: int = 0
    skipped: list[SkippedFile] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)


@dataclass(frozen=True)
class NetmobFilter:
    """Part of NetMob23 to convert: the service, its tiles and its directions (empty: all of them)."""

    app: str
    tiles: Collection[str] = ()
    directions: Collection[str] = ()

    def matches(self, name: str) -> bool:
        """Tell whether the file `name` belongs to this part.

        A file of a whole city holds all tiles and matches any of them.
        """
        name_parts = _parse_name(name)
        return (
            name_parts.get("service", "").casefold() == self.app.casefold()
            and (not self.directions or name_parts["direction"] in self.directions)
            and (not self.tiles or name_parts.get("tile", "") in ("", *self.tiles))
        )


def _parse_name(name: str) -> dict[str, str]:
    """Return the parts of a NetMob23 file name: service, direction and tile or city; empty for other names."""
    match = TILE_FILE_NAME.fullmatch(name.removesuffix(".gz")) or CITY_FILE_NAME.fullmatch(name.removesuffix(".gz"))
    return match.groupdict() if match else {}


def convert_netmob(
    input_path: Path,
    output: Path,
    netmob_filter: NetmobFilter,
    output_format: OutputFormat = "seq",
    window: int = WINDOW_ROWS,
    progress: ProgressCallback = ignore_progress,
    csv_format: CsvFormat = "point",
) -> ConversionResult:
    """Convert NetMob23 files to windows of days, or to one table of days.

    `input_path` is a folder, file or archive. Both layouts of NetMob23 are accepted. Rows are days, columns are the 96
    quarter-hours. Files that cannot be read, and tiles with fewer days than a window, are skipped and reported.
    Raises InputError if nothing is left.
    """
    result = ConversionResult(output)
    with open_sources(
        _list_files(input_path, netmob_filter) if input_path.is_dir() else [input_path], result.skipped
    ) as sources:
        matching_sources = [
            source for source in sources if source.file_type == "netmob" and netmob_filter.matches(source.name)
        ]
        if not matching_sources and not result.skipped:
            raise _build_no_match_error(
                netmob_filter, {_parse_name(source.name).get("service", "") for source in sources}, input_path
            )
        groups = _group_series_files([source.name for source in matching_sources])
        with _open_target(output, output_format, csv_format) as target:
            for number, group in enumerate(groups):
                skipped_before = len(result.skipped)
                try:
                    table = read_netmob(
                        [matching_sources[index] for index in group],
                        _scale_progress(progress, number, len(groups)),
                        result.skipped,
                        netmob_filter.tiles,
                    )
                except UnreadableFileError as error:
                    if len(result.skipped) == skipped_before:
                        result.skipped.append(SkippedFile(matching_sources[group[0]].name, error.message))
                    continue
                result.files += len(group) - (len(result.skipped) - skipped_before)
                _write_tiles(table, target, window, result)
            if not result.rows:
                raise _build_empty_error(input_path, result)
    progress(1.0)
    return result


def _list_files(folder: Path, netmob_filter: NetmobFilter) -> list[Path]:
    """Return the matching files below `folder` in natural order; the other files are never opened.

    Raises InputError if no file matches.
    """
    all_paths = [path for path in folder.rglob("*") if path.is_file()]
    matching_paths = sorted(
        (path for path in all_paths if netmob_filter.matches(path.name)),
        key=lambda path: natural_sort_key(path.as_posix()),
    )
    if not matching_paths:
        raise _build_no_match_error(
            netmob_filter, {_parse_name(path.name).get("service", "") for path in all_paths}, folder
        )
    return matching_paths


def _build_no_match_error(netmob_filter: NetmobFilter, services: set[str], input_path: Path) -> InputError:
    return InputError(
        N_(
            "{file}: there is no NetMob23 file of the service {value!r} with these tiles and "
            "directions. Services found: {accepted}."
        ),
        file=input_path.name,
        value=netmob_filter.app,
        accepted=", ".join(sorted(services - {""})[:30]) or "–",
    )


def _build_empty_error(input_path: Path, result: ConversionResult) -> InputError:
    if not result.skipped:
        return InputError(N_("{file}: nothing could be converted."), file=input_path.name)
    return InputError(
        N_("{file}: nothing could be converted. {count} files or series were skipped. Reason for the first: {reason}"),
        file=input_path.name,
        count=len(result.skipped),
        reason=result.skipped[0].reason,
    )


def _group_series_files(names: Sequence[str]) -> list[list[int]]:
    """Group the positions of `names` so that each group holds whole series.

    A group is a batch of tile files, or all days of one service and direction in a city.
    """
    groups: dict[object, list[int]] = {}
    for number, name in enumerate(names):
        name_parts = _parse_name(name)
        key = (
            (name_parts["city"], name_parts["service"], name_parts["direction"])
            if "city" in name_parts
            else number // TILES_PER_BATCH
        )
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _write_tiles(table: RawTable, target: "Path | _TableWriter", window: int, result: ConversionResult) -> None:
    """Write the tiles of `table` and add them to the counts of `result`."""
    if isinstance(target, _TableWriter):
        target.write(table.frame)
        result.rows += len(table.frame)
        result.entities += table.frame["tile"].nunique()
        return
    layout = NetMob()
    dataset = drop_duplicate_rows(layout.build(table, layout.detect_roles(table.frame) or {}, ""))
    result.notes += [note.message for note in dataset.notes]
    long_entities = [series.entity for series in split_by_entity(dataset) if len(series.row_positions) >= window]
    result.skipped += [
        SkippedFile(
            entity,
            Message(
                N_(
                    "{count} day is fewer than the {accepted} days of a window",
                    "{count} days are fewer than the {accepted} days of a window",
                ),
                {"count": len(series.row_positions), "accepted": window},
            ),
        )
        for series in split_by_entity(dataset)
        if (entity := series.entity) not in long_entities
    ]
    if long_entities:
        result.windows += write_seq(dataset, target, window, result.windows + 1)
        result.entities += len(long_entities)
        result.rows += int(dataset.entity.isin(long_entities).sum())


# ---- one table ------------------------------------------------------------------------------------------------------


class _TableWriter:
    """Writer that appends rows to one Parquet or CSV file."""

    def __init__(self, path: Path, output_format: OutputFormat, csv_format: CsvFormat) -> None:
        self.path, self.output_format, self.csv_format = path, output_format, csv_format
        self._parquet: pa.parquet.ParquetWriter | None = None

    def write(self, frame: pd.DataFrame) -> None:
        text_frame = frame.assign(tile=frame["tile"].astype(str))
        if self.output_format == "csv":
            write_csv(text_frame, self.path, self.csv_format, append=True)
            return
        arrow_table = pa.Table.from_pandas(text_frame, preserve_index=False)
        self._parquet = self._parquet or pa.parquet.ParquetWriter(self.path, arrow_table.schema, compression="zstd")
        self._parquet.write_table(arrow_table)

    def close(self) -> None:
        if self._parquet is not None:
            self._parquet.close()


@contextmanager
def _open_target(output: Path, output_format: OutputFormat, csv_format: CsvFormat) -> Iterator["Path | _TableWriter"]:
    """Yield the folder of windows, or a writer of one table.

    A table has another name until it is complete.
    """
    if output_format == "seq":
        yield output
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".{output.name}.part")
    draft.unlink(missing_ok=True)
    writer = _TableWriter(draft, output_format, csv_format)
    try:
        yield writer
        writer.close()
        draft.replace(output)
    finally:
        writer.close()
        draft.unlink(missing_ok=True)


# ---- windows --------------------------------------------------------------------------------------------------------


def convert_seq(
    input_path: Path, output: Path, progress: ProgressCallback = ignore_progress, csv_format: CsvFormat = "point"
) -> ConversionResult:
    """Join the windows (.seq) below `input_path` into the series they were cut from.

    The series are written as .parquet, .csv or .npz, by the extension of `output`. Windows that cannot be read are
    skipped and reported. Raises InputError if nothing is left, or for several series in one .npz.
    """
    result = ConversionResult(output)
    with open_sources([input_path], result.skipped) as sources:
        other_sources = [source for source in sources if source.file_type != "seq"]
        result.skipped += [
            SkippedFile(other_source.name, Message(N_("The file is not a window (.seq)")))
            for other_source in other_sources
        ]
        skipped_before = len(result.skipped)
        groups = group_files([source for source in sources if source.file_type == "seq"])
        tables = []
        for number, group in enumerate(groups):
            group_progress = _scale_progress(progress, number, len(groups))
            tables.append(read_group(group, group_progress, result.skipped))
        result.windows = result.files = len(sources) - len(other_sources) - (len(result.skipped) - skipped_before)
    if not tables:
        raise _build_empty_error(input_path, result)
    frame = _concat_tables(tables)
    result.rows = len(frame)
    result.entities = frame["entity"].nunique() if "entity" in frame else 1
    result.notes += [note.message for table in tables for note in table.notes]
    output.parent.mkdir(parents=True, exist_ok=True)
    _write_frame(frame, output, csv_format)
    progress(1.0)
    return result


def _scale_progress(progress: ProgressCallback, number: int, count: int) -> ProgressCallback:
    return lambda share: progress((number + share) / count)


def _concat_tables(tables: list[RawTable]) -> pd.DataFrame:
    """Concatenate the tables of several folders; series without an entity get the name of their folder."""
    if len(tables) == 1:
        return tables[0].frame
    for table in tables:
        if "entity" not in table.frame:
            table.frame.insert(1, "entity", table.name)
        if len(table.frame.columns) != len(tables[0].frame.columns):
            raise DataError(
                N_("{file} does not match {other}. Files loaded together must have the same layout, columns and unit."),
                file=table.name,
                other=tables[0].name,
            )
    return pd.concat([table.frame for table in tables], ignore_index=True)


def _write_frame(frame: pd.DataFrame, output: Path, csv_format: CsvFormat) -> None:
    if output.suffix == ".parquet":
        frame.to_parquet(output, index=False)
    elif output.suffix == ".csv":
        write_csv(frame, output, csv_format)
    elif "entity" in frame and frame["entity"].nunique() > 1:
        raise InputError(
            N_("A .npz file can hold one series, not {count}. Choose .parquet or .csv."),
            count=frame["entity"].nunique(),
        )
    else:
        _write_npz(frame, output)


def _write_npz(frame: pd.DataFrame, output: Path) -> None:
    columns = [column for column in frame if column not in ("ts", "entity", "label")]
    arrays = {
        "x": frame[columns].to_numpy(),
        "columns": np.array(columns),
        "time": format_stamps(pd.Index(frame["ts"])),
    }
    if "label" in frame:
        arrays["label"] = frame["label"].to_numpy(dtype=np.uint8)
    np.savez_compressed(output, **arrays)


def build_summary(result: ConversionResult) -> dict[str, object]:
    """Return the result as JSON."""
    return {
        "output": str(result.output),
        "files": result.files,
        "entities": result.entities,
        "rows": result.rows,
        "windows": result.windows,
        "skipped": [{"file": skipped.file, "reason": str(skipped.reason)} for skipped in result.skipped],
        "notes": [str(note) for note in result.notes],
    }
