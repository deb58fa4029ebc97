"""Export of tables as CSV without formulas, as Parquet, and as files of log-likelihoods."""

import io
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from core.errors import UnreadableFileError
from core.messages import N_

NORMAL_SPELLINGS, ANOMALY = (
    ("Normal", "Normaly"),
    "Anomaly",
)  # the second spelling is that of the original SGmVRNN program
CsvFormat = Literal["point", "comma"]
"""Form of a CSV file: "point" for English spreadsheets, "comma" for French ones."""

CSV_MARKS: dict[CsvFormat, tuple[str, str]] = {"point": (",", "."), "comma": (";", ",")}
"""Form of a CSV file → mark between cells, decimal mark."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # first characters of a cell that a spreadsheet evaluates


def escape_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with an apostrophe before text cells and column names that a spreadsheet evaluates as a formula.

    Example:
        >>> import pandas as pd
        >>> escape_formulas(pd.DataFrame({"entity": ["paris", "=1+1"], "score": [0.5, 2.0]}))["entity"].tolist()
        ['paris', "'=1+1"]
    """
    escaped_table = table.rename(columns=_escape_cell)
    for column in escaped_table.columns:
        cells = escaped_table[column]
        if isinstance(cells.dtype, pd.CategoricalDtype):
            cells = cells.astype(object)
        elif not (cells.dtype == object or pd.api.types.is_string_dtype(cells)):
            continue
        escaped_table[column] = _escape_column(cells)
    return escaped_table


def _escape_column(cells: pd.Series) -> pd.Series:
    """Return a column of text cells and others, escaped; every text once, because most of them occur many times."""
    texts = {value for value in cells if isinstance(value, str)}
    changes = {text: escaped for text in texts if (escaped := _escape_cell(text)) != text}
    return cells.map(lambda value: changes.get(value, value) if isinstance(value, str) else value) if changes else cells


def _escape_cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    escaped = f"'{value}" if value.lstrip(" \n").startswith(FORMULA_STARTS) else value
    return escaped.replace("\r\n", "\n").replace("\r", "\n")  # pandas does not quote a lone \r


def write_csv(
    table: pd.DataFrame, target: Path | io.BytesIO, csv_format: CsvFormat = "point", *, append: bool = False
) -> None:
    """Write `table` as CSV with escaped formulas, in UTF-8 with a byte order mark for spreadsheets.

    csv_format  form of the file (see `CSV_MARKS`); the form "comma" opens in a French Excel with one cell per value
    append      add the rows to the file `target` if it exists
    """
    delimiter, decimal_mark = CSV_MARKS[csv_format]
    escaped_table = escape_formulas(table)
    is_continued = append and isinstance(target, Path) and target.exists()
    (escaped_table if decimal_mark == "." else _replace_decimal_points(escaped_table, decimal_mark)).to_csv(
        target,
        sep=delimiter,
        index=False,
        header=not is_continued,
        mode="a" if is_continued else "w",
        encoding="utf-8-sig",
        lineterminator="\n",
    )


def _replace_decimal_points(table: pd.DataFrame, decimal_mark: str) -> pd.DataFrame:
    """Return `table` with its numbers with decimals as text; also those in columns of text and numbers."""
    columns = [_format_decimals(cells, decimal_mark) for _, cells in table.items()]
    return pd.DataFrame(dict(enumerate(columns)), index=table.index).set_axis(table.columns, axis=1)


def _format_decimals(cells: pd.Series, decimal_mark: str) -> pd.Series:
    if pd.api.types.is_float_dtype(cells.dtype):
        return cells.astype(str).str.replace(".", decimal_mark, regex=False).where(cells.notna(), "")
    if not (cells.dtype == object or isinstance(cells.dtype, pd.CategoricalDtype)):
        return cells
    is_decimal = [isinstance(value, float | np.floating | Decimal) and value == value for value in cells]
    texts = [
        str(value).replace(".", decimal_mark) if is_number else value
        for value, is_number in zip(cells, is_decimal, strict=True)
    ]
    return pd.Series(texts, index=cells.index, dtype=object)


def to_csv_bytes(table: pd.DataFrame, csv_format: CsvFormat = "point") -> bytes:
    """Return `table` as the bytes of a CSV file, as `write_csv` writes it.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"entity": ["paris"], "score": [0.5]})
        >>> to_csv_bytes(table).decode("utf-8-sig").splitlines()
        ['entity,score', 'paris,0.5']
        >>> to_csv_bytes(table, "comma").decode("utf-8-sig").splitlines()
        ['entity;score', 'paris;0,5']
    """
    buffer = io.BytesIO()
    write_csv(table, buffer, csv_format)
    return buffer.getvalue()


def to_parquet_bytes(table: pd.DataFrame) -> bytes:
    """Return `table` as the bytes of a Parquet file.

    Example:
        >>> import io
        >>> import pandas as pd
        >>> table = pd.DataFrame({"entity": ["paris"], "score": [0.5]})
        >>> pd.read_parquet(io.BytesIO(to_parquet_bytes(table))).equals(table)
        True
    """
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def format_likelihoods(
    timestamps: Iterable[object], scores: ArrayLike, labels: ArrayLike, *, original: bool = False
) -> str:
    """Return one line per row: `timestamp,log-likelihood,Normal|Anomaly`. The log-likelihood is −score.

    timestamps  timestamps of the rows; dates are written as YYYYMMDDHHMMSS, other values as text
    scores      (rows,) anomaly scores
    labels      (rows,) True for an anomaly
    original    spell it "Normaly", as the original SGmVRNN program does

    Example:
        >>> print(format_likelihoods([10, 20], [0.5, 3.0], [False, True]), end="")
        10,-0.5,Normal
        20,-3.0,Anomaly
    """
    values, is_anomaly = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    normal_word = NORMAL_SPELLINGS[original]
    return "".join(
        f"{_format_timestamp(timestamp)},{-score!r},{ANOMALY if label else normal_word}\n"
        for timestamp, score, label in zip(timestamps, values.tolist(), is_anomaly.tolist(), strict=True)
    )


def _format_timestamp(timestamp: object) -> str:
    return timestamp.strftime("%Y%m%d%H%M%S") if isinstance(timestamp, pd.Timestamp) else str(timestamp)


def read_likelihoods(path: Path) -> tuple[list[str], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the timestamps as text, the scores (−log-likelihood) and the labels of a file of `format_likelihoods`.

    Both spellings of "Normal" are accepted. Raises UnreadableFileError with the first line of another form.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "scores.txt"
        ...     _ = path.write_text("10,-0.5,Normal")
        ...     read_likelihoods(path)
        (['10'], array([0.5]), array([False]))
    """
    timestamps, scores, labels = [], [], []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        cells = [cell.strip() for cell in line.split(",")]
        try:
            timestamp, likelihood, word = cells
            labels.append({**dict.fromkeys(NORMAL_SPELLINGS, False), ANOMALY: True}[word])
            scores.append(-float(likelihood))
            timestamps.append(timestamp)
        except (ValueError, KeyError) as error:
            raise UnreadableFileError(
                N_(
                    "{file}, line {line}: {value!r} is not accepted. Accepted form: "
                    "timestamp,log-likelihood,Normal|Normaly|Anomaly."
                ),
                file=path.name,
                line=number,
                value=line[:60],
            ) from error
    return timestamps, np.array(scores, dtype=np.float64), np.array(labels, dtype=bool)
