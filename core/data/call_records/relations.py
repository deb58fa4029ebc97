"""SQL of DuckDB that reads files of call records as one relation of times, outcomes and causes.

Only the columns of `match_columns` are named in it, so customers and telephone numbers are not read.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from core.data.call_records.buckets import UNKNOWN
from core.data.call_records.sources import RecordFile

EPOCH_S = (3e8, 4.1e9)  # numbers of seconds that are accepted as times: 1979 to 2099
MAX_US = int(EPOCH_S[1] * 1e6)
STATUS_OK, STATUS_LINE, STATUS_TIME, STATUS_DURATION, STATUS_PERIOD = "ok", "line", "time", "duration", "period"


def build_records_query(
    files: Sequence[tuple[RecordFile, Mapping[str, str]]], period_us: tuple[int | None, int | None]
) -> str:
    """Return the query of all records, with one line per record.

    files      files with their columns by field (see `match_columns`)
    period_us  start and end of the calls that count, in µs since 1970; None for no limit

    Columns: id, trunk, cause (as in the file), s and e (start and end in µs), failed, status ("ok", or why the record
    does not count).
    """
    keyed = sorted(
        ((_make_group_key(file, matches), file, matches) for file, matches in files), key=lambda item: item[0]
    )
    scans = [
        _build_scan([file for _, file, _ in group], group[0][2])
        for _, members in groupby(keyed, key=lambda item: item[0])
        for group in [list(members)]
    ]
    outside = [
        text
        for text, limit in (("s < {}", period_us[0]), ("s >= {}", period_us[1]))
        if limit is not None
        for text in [text.format(limit)]
    ]
    return f"""
        SELECT id, trunk, s, e, cause,
               coalesce(failed, e <= s) AS failed,
               CASE WHEN NOT is_line THEN '{STATUS_LINE}'
                    WHEN s IS NULL OR s NOT BETWEEN 0 AND {MAX_US} THEN '{STATUS_TIME}'
                    WHEN e IS NULL OR e NOT BETWEEN s AND {MAX_US} OR duration < 0 THEN '{STATUS_DURATION}'
                    WHEN {" OR ".join(outside) or "false"} THEN '{STATUS_PERIOD}'
                    ELSE '{STATUS_OK}' END AS status
        FROM (
            SELECT id, trunk, s, failed, cause, duration, is_line,
                   coalesce(e, CASE WHEN s BETWEEN 0 AND {MAX_US} AND length_us BETWEEN 0 AND {MAX_US}
                                    THEN s + CAST(round(length_us) AS BIGINT) END) AS e
            FROM (SELECT *, 1e6 * coalesce(duration, CASE WHEN failed THEN 0 END) AS length_us
                  FROM ({" UNION ALL ".join(scans)}))
        )
    """


def clean_name(column: str) -> str:
    """Return the expression of a name without blanks around it, "unknown" where it is empty."""
    return f"coalesce(nullif(trim({column}), ''), '{UNKNOWN}')"


def quote_text(text: str) -> str:
    """Return a text as a literal of SQL.

    Example:
        >>> quote_text("it's")
        "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Return the name of a column as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def name_orc_view(file: RecordFile) -> str:
    """Return the name under which an ORC file is registered; Arrow reads it, DuckDB has no reader."""
    return f"orc:{file.path}"


def _make_group_key(file: RecordFile, matches: Mapping[str, str]) -> str:
    """Return a key that files share if one scan can read them."""
    kinds = [(name, file.columns[column]) for name, column in sorted(matches.items())]
    columns = list(file.columns) if file.format == "csv" else []
    paths = [file.paths.get(column, "") for column in matches.values()]
    own = str(file.path) if file.format == "orc" else ""
    layout = (file.format, file.delimiter, file.compression, file.encoding, file.is_array)
    return repr((layout, sorted(matches.items()), kinds, columns, paths, own))


def _build_scan(files: list[RecordFile], matches: Mapping[str, str]) -> str:
    """Return the query of the fields of some files with the same columns."""
    file = files[0]
    names = {field: _name_cell(file, matches, field) for field in matches}
    kinds = {field: file.columns[column] for field, column in matches.items()}

    def pick(field: str, kind: str) -> str:
        return _convert(names[field], kinds[field], kind) if field in names else "NULL"

    return f"""
        SELECT {names.get("id", "CAST(NULL AS BIGINT)")} AS id,
               CAST({pick("trunk", "name")} AS VARCHAR) AS trunk, CAST({pick("cause", "name")} AS VARCHAR) AS cause,
               CAST({pick("start", "time")} AS BIGINT) AS s, CAST({pick("end", "time")} AS BIGINT) AS e,
               CAST({pick("duration", "number")} AS DOUBLE) AS duration,
               CAST({pick("null_duration", "flag")} AS BOOLEAN) AS failed,
               {"cells IS NOT NULL" if file.format == "json" else "true"} AS is_line
        FROM {_build_source(files, matches)}
    """


def _name_cell(file: RecordFile, matches: Mapping[str, str], field: str) -> str:
    """Return the expression of the raw value of a field."""
    if file.format == "json":
        return f"cells[{list(matches).index(field) + 1}]"
    if file.format == "csv":
        return f"c{list(file.columns).index(matches[field])}"
    return quote_name(matches[field])


def _build_source(files: list[RecordFile], matches: Mapping[str, str]) -> str:
    file = files[0]
    paths = "[" + ", ".join(quote_text(str(item.path)) for item in files) + "]"
    if file.format == "orc":
        return quote_name(name_orc_view(file))
    if file.format == "parquet":
        return f"read_parquet({paths})"
    if file.format == "json":
        keys = "[" + ", ".join(quote_text(file.paths[column]) for column in matches.values()) + "]"
        form = "array" if file.is_array else "newline_delimited"
        return (
            f"(SELECT json_extract_string(json, {keys}) AS cells FROM read_json_objects({paths}, format='{form}', "
            f"compression='{file.compression}', ignore_errors={str(not file.is_array).lower()}))"
        )
    columns = "{" + ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(file.columns))) + "}"
    return (
        f"read_csv({paths}, auto_detect=false, header=true, columns={columns}, delim={quote_text(file.delimiter)}, "
        f"quote='\"', escape='\"', compression='{file.compression}', encoding='{file.encoding}', ignore_errors=true, "
        "store_rejects=true, rejects_limit=0)"
    )


def _convert(cell: str, found_kind: str, kind: str) -> str:
    """Return the expression that converts a cell; a cell that does not convert is NULL."""
    text = f"trim(CAST({cell} AS VARCHAR))"
    if kind == "time":
        if found_kind in ("time", "instant"):  # a cast of a time to an instant would take most of the seconds
            return f"epoch_us(CAST({cell} AS {'TIMESTAMP' if found_kind == 'time' else 'TIMESTAMPTZ'}))"
        if found_kind == "number":
            return _convert_epoch(f"CAST({cell} AS DOUBLE)")
        number = _convert_epoch(f"TRY_CAST({text} AS DOUBLE)")
        return f"coalesce(epoch_us(TRY_CAST({text} AS TIMESTAMPTZ)), {number})"
    if kind == "number":
        return f"TRY_CAST(replace({text}, ',', '.') AS DOUBLE)" if found_kind == "text" else f"CAST({cell} AS DOUBLE)"
    if kind == "flag":
        return f"TRY_CAST({cell if found_kind == 'flag' else text} AS BOOLEAN)"
    return cell


def _convert_epoch(number: str) -> str:
    """Return µs since 1970 of a number of s, ms, µs or ns; NULL outside 1979 to 2099, such as 20200830."""
    low, high = EPOCH_S
    branches = " ".join(
        f"WHEN {number} BETWEEN {low * scale} AND {high * scale} THEN CAST({number} * {1e6 / scale} AS BIGINT)"
        for scale in (1, 1e3, 1e6, 1e9)
    )
    return f"CASE {branches} END"
