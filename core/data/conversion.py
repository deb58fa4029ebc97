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

from core.data.ingest.file_types import CITY_FILE, TILE_FILE
from core.data.ingest.files import Skipped, natural, unpacked
from core.data.ingest.layouts.netmob import NetMob
from core.data.ingest.loading import without_repeats
from core.data.ingest.readers import Progress, Table, bundles, no_progress, read_bundle
from core.data.ingest.readers.netmob import read_netmob
from core.data.series import series_of
from core.data.stamps import stamps_of
from core.data.windows import WINDOW, write_seq
from core.errors import DataError, InputError, UnreadableFileError
from core.exports import neutralised, written_csv
from core.messages import N_, Text

TILES_AT_ONCE = 200

Format = Literal["seq", "parquet", "csv"]


@dataclass
class Conversion:
    """Result of a conversion: counts of what was read and written, and the skipped files and series."""

    output: Path
    files: int = 0
    entities: int = 0
    rows: int = 0
    windows: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[Text] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """Part of NetMob23 to convert: the service, its tiles and its directions (empty: all of them)."""

    app: str
    tiles: Collection[str] = ()
    directions: Collection[str] = ()

    def has(self, name: str) -> bool:
        """Tell whether the file `name` belongs to this part.

        A file of a whole city holds all tiles and matches any of them.
        """
        found = _named(name)
        return (
            found.get("service", "").casefold() == self.app.casefold()
            and (not self.directions or found["direction"] in self.directions)
            and (not self.tiles or found.get("tile", "") in ("", *self.tiles))
        )


def _named(name: str) -> dict[str, str]:
    """Return the parts of a NetMob23 file name: service, direction and tile or city; empty for other names."""
    found = TILE_FILE.fullmatch(name.removesuffix(".gz")) or CITY_FILE.fullmatch(name.removesuffix(".gz"))
    return found.groupdict() if found else {}


def convert_netmob(
    given: Path,
    output: Path,
    wanted: Wanted,
    form: Format = "seq",
    window: int = WINDOW,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert NetMob23 files to windows of days, or to one table of days.

    `given` is a folder, file or archive. Both layouts of NetMob23 are accepted. Rows are days, columns are the 96
    quarter-hours. Files that cannot be read, and tiles with fewer days than a window, are skipped and reported.
    Raises InputError if nothing is left.
    """
    done = Conversion(output)
    with unpacked(_files(given, wanted) if given.is_dir() else [given], done.skipped) as sources:
        kept = [source for source in sources if source.kind == "netmob" and wanted.has(source.name)]
        if not kept and not done.skipped:
            raise _none_of(wanted, {_named(source.name).get("service", "") for source in sources}, given)
        groups = _series_files([source.name for source in kept])
        with _output(output, form) as place:
            for number, group in enumerate(groups):
                before = len(done.skipped)
                try:
                    table = read_netmob(
                        [kept[at] for at in group], _share(progress, number, len(groups)), done.skipped, wanted.tiles
                    )
                except UnreadableFileError as error:
                    if len(done.skipped) == before:
                        done.skipped.append(Skipped(kept[group[0]].name, error.text))
                    continue
                done.files += len(group) - (len(done.skipped) - before)
                _keep(table, place, window, done)
            if not done.rows:
                raise _nothing(given, done)
    progress(1.0)
    return done


def _files(folder: Path, wanted: Wanted) -> list[Path]:
    """Return the matching files below `folder` in natural order; the other files are never opened.

    Raises InputError if no file matches.
    """
    inside = [path for path in folder.rglob("*") if path.is_file()]
    found = sorted((path for path in inside if wanted.has(path.name)), key=lambda path: natural(path.as_posix()))
    if not found:
        raise _none_of(wanted, {_named(path.name).get("service", "") for path in inside}, folder)
    return found


def _none_of(wanted: Wanted, services: set[str], given: Path) -> InputError:
    return InputError(
        N_("{file}: no NetMob23 file of {value!r} with these tiles and directions. Services found: {accepted}."),
        file=given.name,
        value=wanted.app,
        accepted=", ".join(sorted(services - {""})[:30]) or "–",
    )


def _nothing(given: Path, done: Conversion) -> InputError:
    if not done.skipped:
        return InputError(N_("{file}: nothing could be converted."), file=given.name)
    return InputError(
        N_("{file}: nothing could be converted, {count} files or series were left out; the first: {reason}"),
        file=given.name,
        count=len(done.skipped),
        reason=done.skipped[0].reason,
    )


def _series_files(names: Sequence[str]) -> list[list[int]]:
    """Group the positions of `names` so that each group holds whole series.

    A group is a batch of tile files, or all days of one service and direction in a city.
    """
    groups: dict[object, list[int]] = {}
    for number, name in enumerate(names):
        found = _named(name)
        key = (found["city"], found["service"], found["direction"]) if "city" in found else number // TILES_AT_ONCE
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _keep(table: Table, place: "Path | _Rows", window: int, done: Conversion) -> None:
    """Write the tiles of `table` and add them to the counts of `done`."""
    if isinstance(place, _Rows):
        place.write(table.frame)
        done.rows += len(table.frame)
        done.entities += table.frame["tile"].nunique()
        return
    layout = NetMob()
    dataset = without_repeats(layout.build(table, layout.roles(table.frame) or {}, ""))
    done.notes += [note.text for note in dataset.notes]
    long = [series.entity for series in series_of(dataset) if len(series.places) >= window]
    done.skipped += [
        Skipped(
            entity, Text(N_("{count} days; a window has {accepted}"), {"count": len(series.places), "accepted": window})
        )
        for series in series_of(dataset)
        if (entity := series.entity) not in long
    ]
    if long:
        done.windows += write_seq(dataset, place, window, done.windows + 1)
        done.entities += len(long)
        done.rows += int(dataset.entity.isin(long).sum())


# ---- one table ------------------------------------------------------------------------------------------------------


class _Rows:
    """Writer that appends rows to one Parquet or CSV file."""

    def __init__(self, path: Path, form: Format) -> None:
        self.path, self.form = path, form
        self._parquet: pa.parquet.ParquetWriter | None = None

    def write(self, frame: pd.DataFrame) -> None:
        plain = frame.assign(tile=frame["tile"].astype(str))
        if self.form == "csv":
            neutralised(plain).to_csv(
                self.path, index=False, mode="a", header=not self.path.exists(), lineterminator="\n"
            )
            return
        rows = pa.Table.from_pandas(plain, preserve_index=False)
        self._parquet = self._parquet or pa.parquet.ParquetWriter(self.path, rows.schema, compression="zstd")
        self._parquet.write_table(rows)

    def close(self) -> None:
        if self._parquet is not None:
            self._parquet.close()


@contextmanager
def _output(output: Path, form: Format) -> Iterator["Path | _Rows"]:
    """Yield the folder of windows, or a writer of one table.

    A table has another name until it is complete.
    """
    if form == "seq":
        yield output
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".{output.name}.part")
    draft.unlink(missing_ok=True)
    rows = _Rows(draft, form)
    try:
        yield rows
        rows.close()
        draft.replace(output)
    finally:
        rows.close()
        draft.unlink(missing_ok=True)


# ---- windows --------------------------------------------------------------------------------------------------------


def convert_seq(given: Path, output: Path, progress: Progress = no_progress) -> Conversion:
    """Join the windows (.seq) below `given` into the series they were cut from.

    The series are written as .parquet, .csv or .npz, by the extension of `output`. Windows that cannot be read are
    skipped and reported. Raises InputError if nothing is left, or for several series in one .npz.
    """
    done = Conversion(output)
    with unpacked([given], done.skipped) as sources:
        others = [source for source in sources if source.kind != "seq"]
        done.skipped += [Skipped(each.name, Text(N_("not a window (.seq)"))) for each in others]
        before = len(done.skipped)
        groups = bundles([source for source in sources if source.kind == "seq"])
        tables = []
        for number, group in enumerate(groups):
            share = _share(progress, number, len(groups))
            tables.append(read_bundle(group, share, done.skipped))
        done.windows = done.files = len(sources) - len(others) - (len(done.skipped) - before)
    if not tables:
        raise _nothing(given, done)
    frame = _one(tables)
    done.rows = len(frame)
    done.entities = frame["entity"].nunique() if "entity" in frame else 1
    done.notes += [note.text for table in tables for note in table.notes]
    output.parent.mkdir(parents=True, exist_ok=True)
    _write_frame(frame, output)
    progress(1.0)
    return done


def _share(progress: Progress, number: int, of: int) -> Progress:
    return lambda share: progress((number + share) / of)


def _one(tables: list[Table]) -> pd.DataFrame:
    """Concatenate the tables of several folders; series without an entity get the name of their folder."""
    if len(tables) == 1:
        return tables[0].frame
    for table in tables:
        if "entity" not in table.frame:
            table.frame.insert(1, "entity", table.name)
        if len(table.frame.columns) != len(tables[0].frame.columns):
            raise DataError(
                N_("{file} does not match {other}: files loaded together need the same layout, columns and unit."),
                file=table.name,
                other=tables[0].name,
            )
    return pd.concat([table.frame for table in tables], ignore_index=True)


def _write_frame(frame: pd.DataFrame, output: Path) -> None:
    if output.suffix == ".parquet":
        frame.to_parquet(output, index=False)
    elif output.suffix == ".csv":
        written_csv(frame, output)
    elif "entity" in frame and frame["entity"].nunique() > 1:
        raise InputError(
            N_("{count} series do not fit into one .npz; write .parquet or .csv."), count=frame["entity"].nunique()
        )
    else:
        _write_npz(frame, output)


def _write_npz(frame: pd.DataFrame, output: Path) -> None:
    columns = [column for column in frame if column not in ("ts", "entity", "label")]
    arrays = {"x": frame[columns].to_numpy(), "columns": np.array(columns), "time": stamps_of(pd.Index(frame["ts"]))}
    if "label" in frame:
        arrays["label"] = frame["label"].to_numpy(dtype=np.uint8)
    np.savez_compressed(output, **arrays)


def summary(done: Conversion) -> dict[str, object]:
    """Return the result as JSON."""
    return {
        "output": str(done.output),
        "files": done.files,
        "entities": done.entities,
        "rows": done.rows,
        "windows": done.windows,
        "skipped": [{"file": each.file, "reason": str(each.reason)} for each in done.skipped],
        "notes": [str(note) for note in done.notes],
    }
