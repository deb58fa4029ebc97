"""Options of the import of call records."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pandas as pd

from core.data.call_records.buckets import parse_interval
from core.data.call_records.columns import ColumnChoice
from core.data.dataset import DAY
from core.errors import OptionError
from core.messages import N_
from core.spec.hyperparameters import hyperparameter
from core.spec.spec import Spec
from core.storage.search_server import check_address, check_index


@dataclass(frozen=True)
class ImportSpec(Spec):
    """Count call records from files or from Elasticsearch, per interval and trunk.

    records        files, or folders of files
    elasticsearch  address of a server with the records, instead of files
    index          pattern of its indices; "" for that of the settings
    """

    records: tuple[str, ...] = hyperparameter(
        (),
        help=N_("Files with one record per call (CSV, Parquet, ORC, JSON lines), or folders of such files."),
        label=N_("Files or folders"),
        metavar="[FILE...|FOLDER]",
        argument=True,
    )
    elasticsearch: str = hyperparameter(
        "",
        help=N_("Address of an Elasticsearch server with the records, instead of files."),
        label=N_("Elasticsearch address"),
        metavar="URL",
    )
    index: str = hyperparameter(
        "", help=N_("Names of its indices; * stands for any letters."), label=N_("Index pattern"), metavar="PATTERN"
    )
    interval: str = hyperparameter(
        "15min",
        help=N_("Length of an interval, such as 5min, 15min or 1h. It divides a day."),
        label=N_("Interval"),
        metavar="LENGTH",
    )
    by: str = hyperparameter(
        "all",
        help=N_("Count every trunk, or all calls together."),
        label=N_("Count"),
        choices=("trunk", "all"),
        words={"trunk": N_("every trunk"), "all": N_("all calls together")},
    )
    start: str = hyperparameter(
        "", help=N_("Count the calls that begin at this time or later (UTC)."), label=N_("From"), metavar="TIME"
    )
    end: str = hyperparameter(
        "",
        help=N_("Count the calls that begin before this time (UTC). A date includes its whole day."),
        label=N_("To"),
        metavar="TIME",
    )
    trunk_column: str = hyperparameter(
        "", help=N_("Column of the trunk (default: ORIG_T1T7)."), label=N_("Column of the trunk"), metavar="COLUMN"
    )
    start_column: str = hyperparameter(
        "",
        help=N_("Column of the start of a call (default: Call_Start_Time, else @timestamp)."),
        label=N_("Column of the start"),
        metavar="COLUMN",
    )
    duration_column: str = hyperparameter(
        "",
        help=N_("Column of the duration in seconds (default: DURATION)."),
        label=N_("Column of the duration"),
        metavar="COLUMN",
    )
    cause_column: str = hyperparameter(
        "",
        help=N_("Column of the group of release causes (default: rc_group)."),
        label=N_("Column of the cause"),
        metavar="COLUMN",
    )

    @property
    def by_trunk(self) -> bool:
        """True where every trunk is counted."""
        return self.by == "trunk"

    @property
    def period(self) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
        """Start, and end (not included), of the calls that count, in UTC. Raises OptionError for other text."""
        start, end = _parse_time("start", self.start), _parse_time("end", self.end)
        is_date = len(self.end.strip()) <= len("2020-08-30")
        return start, end + DAY if end is not None and is_date else end

    @property
    def columns(self) -> ColumnChoice:
        """Columns that replace the usual ones."""
        return ColumnChoice(self.trunk_column, self.start_column, self.duration_column, self.cause_column)

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, and without exactly one source of records."""
        super().check()
        if not self.records and not self.elasticsearch:
            raise OptionError(N_("Give files with call records, or {option}."), option="--elasticsearch")
        if self.records and self.elasticsearch:
            raise OptionError(N_("Give only one of these options: {options}."), options="FILE / --elasticsearch")
        for option, value, needed in (
            ("--index", self.index, self.elasticsearch),
            ("--duration-column", self.duration_column, self.records),
        ):
            if value and not needed:
                chosen = "--elasticsearch" if self.elasticsearch else "FILE"
                raise OptionError(N_("{option} cannot be combined with {chosen}."), option=option, chosen=chosen)
        if self.elasticsearch:
            check_address(self.elasticsearch)  # before a run stores it: it may hold a password
        if self.index:
            check_index(self.index)
        self.columns.check()
        parse_interval(self.interval)
        start, end = self.period
        if start is not None and end is not None and start >= end:
            raise OptionError(N_("The period ends at {end}, but it starts at {start}."), start=str(start), end=str(end))

    def fill_defaults(self) -> Self:
        """Return the spec with absolute paths, so that it does not depend on the working directory."""
        return replace(self, records=tuple(str(Path(path).absolute()) for path in self.records))


def _parse_time(name: str, text: str) -> pd.Timestamp | None:
    """Return a time as UTC without its offset, or None for no text."""
    if not text:
        return None
    time = pd.to_datetime(text, errors="coerce", utc=True)
    if pd.isna(time):
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name=name,
            value=text,
            accepted="2020-08-30, 2020-08-30T22:45",
        )
    return time.tz_localize(None)
