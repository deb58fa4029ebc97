"""Export of tables as CSV without formulas, as Parquet, and as files of log-likelihoods."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from core.errors import UnreadableFileError
from core.messages import N_

NORMAL, ANOMALY = ("Normal", "Normaly"), "Anomaly"  # the second spelling is that of the original SGmVRNN program
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of a cell that a spreadsheet evaluates


def neutralised(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with an apostrophe before text cells and column names that a spreadsheet evaluates as a formula.

    Example:
        >>> import pandas as pd
        >>> neutralised(pd.DataFrame({"entity": ["paris", "=1+1"], "score": [0.5, 2.0]}))["entity"].tolist()
        ['paris', "'=1+1"]
    """
    safe = table.rename(columns=_safe)
    for column in safe.columns:
        cells = safe[column]
        if isinstance(cells.dtype, pd.CategoricalDtype):
            safe[column] = cells.astype(object).map(_safe)
        elif cells.dtype == object or pd.api.types.is_string_dtype(cells):
            safe[column] = cells.map(_safe)
    return safe


def _safe(value: object) -> object:
    if not isinstance(value, str):
        return value
    guarded = f"'{value}" if value.lstrip(" \n").startswith(FORMULA) else value
    return guarded.replace("\r\n", "\n").replace("\r", "\n")  # pandas does not quote a lone \r


def written_csv(table: pd.DataFrame, target: Path | io.BytesIO) -> None:
    """Write `table` as CSV with escaped formulas, in UTF-8 with a byte order mark for spreadsheets."""
    neutralised(table).to_csv(target, index=False, encoding="utf-8-sig", lineterminator="\n")


def as_csv(table: pd.DataFrame) -> bytes:
    """Return `table` as the bytes of a CSV file, as `written_csv` writes it.

    Example:
        >>> import pandas as pd
        >>> as_csv(pd.DataFrame({"entity": ["paris"], "score": [0.5]})).decode("utf-8-sig").splitlines()
        ['entity,score', 'paris,0.5']
    """
    buffer = io.BytesIO()
    written_csv(table, buffer)
    return buffer.getvalue()


def as_parquet(table: pd.DataFrame) -> bytes:
    """Return `table` as the bytes of a Parquet file.

    Example:
        >>> import io
        >>> import pandas as pd
        >>> table = pd.DataFrame({"entity": ["paris"], "score": [0.5]})
        >>> pd.read_parquet(io.BytesIO(as_parquet(table))).equals(table)
        True
    """
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def written_likelihoods(
    moments: Iterable[object], scores: ArrayLike, labels: ArrayLike | None, target: Path, *, original: bool = False
) -> None:
    """Write one line per row: `timestamp,log-likelihood,Normal|Anomaly`. The log-likelihood is −score.

    moments   timestamps of the rows; dates are written as YYYYMMDDHHMMSS, other values as text
    scores    (rows,) anomaly scores
    labels    (rows,) True for a labelled anomaly; None writes every row as normal
    original  write "Normaly", the spelling of the original SGmVRNN program

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "scores.txt"
        ...     written_likelihoods([10, 20], [0.5, 3.0], [False, True], path)
        ...     print(path.read_text(), end="")
        10,-0.5,Normal
        20,-3.0,Anomaly
    """
    values = np.asarray(scores, dtype=np.float64)
    known = np.zeros(len(values), dtype=bool) if labels is None else np.asarray(labels, dtype=bool)
    normal = NORMAL[original]
    with target.open("w", encoding="ascii", newline="\n") as file:
        for moment, score, label in zip(moments, values.tolist(), known.tolist(), strict=True):
            file.write(f"{_stamp(moment)},{-score!r},{ANOMALY if label else normal}\n")


def _stamp(moment: object) -> str:
    return moment.strftime("%Y%m%d%H%M%S") if isinstance(moment, pd.Timestamp) else str(moment)


def read_likelihoods(path: Path) -> tuple[list[str], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the timestamps as text, the scores (−log-likelihood) and the labels of a file of `written_likelihoods`.

    Both spellings of "Normal" are accepted. Raises UnreadableFileError with the first line of another form.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "scores.txt"
        ...     _ = path.write_text("10,-0.5,Normal")
        ...     read_likelihoods(path)
        (['10'], array([0.5]), array([False]))
    """
    moments, scores, labels = [], [], []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        cells = [cell.strip() for cell in line.split(",")]
        try:
            moment, likelihood, word = cells
            labels.append({**dict.fromkeys(NORMAL, False), ANOMALY: True}[word])
            scores.append(-float(likelihood))
            moments.append(moment)
        except (ValueError, KeyError) as error:
            raise UnreadableFileError(
                N_("{file}, line {line}: {value!r}; accepted: timestamp,log-likelihood,Normal|Normaly|Anomaly."),
                file=path.name,
                line=number,
                value=line[:60],
            ) from error
    return moments, np.array(scores, dtype=np.float64), np.array(labels, dtype=bool)
