"""Labels of normal and abnormal rows: words, 0 and 1, or 1 and −1."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.ingest.number_parsing import parse_numbers

NORMAL_WORDS = ("normal", "ok", "benign", "good", "false", "faux", "non", "no", "healthy", "regular", "nominal")
ABNORMAL_WORDS = (
    *("attack", "anomaly", "anomalous", "abnormal", "anomalie", "anormal", "nok", "ko", "malicious", "bad", "fault"),
    *("faulty", "failure", "outlier", "true", "vrai", "oui", "yes", "alarm", "incident", "defect"),
)


def looks_like_labels(cells: pd.Series, is_named: bool = False) -> bool:
    """Tell whether a column holds labels: a normal and an abnormal word, or numbers under a name of labels.

    Words of yes and no count only under a name of labels.

    Example:
        >>> looks_like_labels(pd.Series(["Normal", "Attack"])), looks_like_labels(pd.Series(["yes", "no"]))
        (True, False)
        >>> looks_like_labels(pd.Series([0, 1]), is_named=True), looks_like_labels(pd.Series([0, 1]))
        (True, False)
    """
    if not is_named and pd.api.types.is_numeric_dtype(cells):
        return False
    words = _list_words(cells)
    if is_named and not len(parse_numbers(cells)[1]):
        return True
    if not words or len(words) > 3:
        return False
    normal, abnormal = (words & set(accepted) for accepted in (NORMAL_WORDS, ABNORMAL_WORDS))
    if not normal or not abnormal or words - normal - abnormal:
        return False
    return (
        is_named
        or bool(normal & {"normal", "benign", "healthy", "nominal"})
        or bool(abnormal & {"nok", "ko", "anomaly"})
    )


def _list_words(cells: pd.Series) -> set[str]:
    distinct = pd.unique(cells.dropna())
    return {str(value).strip().casefold() for value in distinct[:10]} if len(distinct) <= 10 else set()


def read_labels(cells: pd.Series) -> tuple[NDArray[np.bool_], bool] | None:
    """Return True for every abnormal row, and whether −1 marks them; None if the column has another meaning.

    1 and −1 follow scikit-learn: −1 is abnormal. That is accepted only if −1 is the rarer value.

    Example:
        >>> labels, is_negative = read_labels(pd.Series([1, 1, -1, 1]))
        >>> labels.tolist(), is_negative
        ([False, False, True, False], True)
        >>> read_labels(pd.Series(["Normal", "Attack"]))[0].tolist()
        [False, True]
        >>> read_labels(pd.Series([-1, -1, 1])) is None
        True
    """
    words = _list_words(cells)
    if words and words <= {*NORMAL_WORDS, *ABNORMAL_WORDS}:
        texts = cells.astype(str).str.strip().str.casefold()
        return texts.isin(ABNORMAL_WORDS).to_numpy(), False
    values, _ = parse_numbers(cells)
    if not (values < 0).any():
        return values > 0, False
    is_abnormal = values == -1
    accepted = np.isin(values[~np.isnan(values)], (-1, 1)).all() and is_abnormal.mean() < 0.5
    return (is_abnormal, True) if accepted else None
