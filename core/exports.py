"""Tables for other programs: CSV that a spreadsheet cannot be made to execute, and Parquet."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from core.errors import UnreadableFileError
from core.messages import N_

NORMAL, ANOMALY = ("Normal", "Normaly"), "Anomaly"  # ours first, then as the original of SGmVRNN spells it
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def neutralised(table: pd.DataFrame) -> pd.DataFrame:
    """Text cells and column names that a spreadsheet would take for a formula get an apostrophe in front."""
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
    return guarded.replace("\r\n", "\n").replace("\r", "\n")  # a lone one is written without quotes and begins a line


def written_csv(table: pd.DataFrame, target: Path | io.BytesIO) -> None:
    """UTF-8 with a mark that spreadsheets understand, formulas neutralised."""
    neutralised(table).to_csv(target, index=False, encoding="utf-8-sig", lineterminator="\n")


def as_csv(table: pd.DataFrame) -> bytes:
    """Return `table` as the bytes of a CSV file."""
    buffer = io.BytesIO()
    written_csv(table, buffer)
    return buffer.getvalue()


def as_parquet(table: pd.DataFrame) -> bytes:
    """Return `table` as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def written_likelihoods(
    moments: Iterable[object], scores: ArrayLike, labels: ArrayLike | None, target: Path, *, original: bool = False
) -> None:
    """Write one line per score: `timestamp,log-likelihood,Normal|Anomaly`.

    The log-likelihood is −score, the word is the label.

    moments   dates are written as YYYYMMDDHHMMSS, anything else as it is
    labels    True where a row is known to be abnormal; None: every row is called normal
    original  "Normaly", as the programs spell it that read such files
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
    """Moments as written, scores (−log-likelihood) and labels of a file of `written_likelihoods`, in either spelling.

    Raises UnreadableFileError with the line for anything else.
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
