"""The table of judged rows of a `Judgement`, from what every task knows about its rows."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.watches.judgement import JUDGED_COLUMNS

EXPLAINED_FILLERS: dict[str, object] = {
    "column": "",
    **dict.fromkeys(("measured", "expected", "low", "high"), np.nan),
    "causes": (),
}
"""Column → its value in rows that are no alarm."""


def build_judged_table(
    entity: pd.Index,
    instant: pd.DatetimeIndex,
    score: Floats,
    threshold: Floats | float,
    is_anomalous: NDArray[np.bool_],
    severity: NDArray[np.integer],
    explanations: pd.DataFrame,
) -> pd.DataFrame:
    """Return the rows of a `Judgement`; all arrays are (rows,).

    `explanations` has a line per anomalous row, in the same order, with the columns of `EXPLAINED_FILLERS`. A
    column name may be missing.
    """
    rows = pd.DataFrame(
        {
            "entity": np.asarray(entity.astype(str), dtype=object),
            "instant": instant.as_unit("ns"),
            "score": np.asarray(score, dtype=np.float64),
            "threshold": np.broadcast_to(np.asarray(threshold, dtype=np.float64), len(score)),
            "is_anomalous": is_anomalous,
            "severity": np.where(is_anomalous, severity, 0).astype(np.int8),
        }
    )
    positions = np.flatnonzero(is_anomalous)
    for name, filler in EXPLAINED_FILLERS.items():
        values = pd.Series([filler] * len(rows), dtype=object if isinstance(filler, str | tuple) else np.float64)
        if len(positions):
            known = explanations[name].astype(values.dtype).set_axis(positions)
            values[positions] = known.where(known.notna(), filler) if isinstance(filler, str) else known
        rows[name] = values
    return rows[list(JUDGED_COLUMNS)]
