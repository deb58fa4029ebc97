"""Explanation of rows: the cells outside their expected band, and the tables of ranked rows and of their cells.

Label, band, table, export and run card use the table of cells. A column is named if its value is outside the band.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.detectors.baseline import BAND_HALF_WIDTH, Baseline
from core.detectors.row_model import RowModel
from core.tasks.anomalies.counterfactual import find_counterfactuals
from core.tasks.anomalies.incidents import find_row_step, number_incidents

MIN_EXPLAINED_ROWS = 2000
MAX_CAUSES = 3
PATTERN_COLUMNS = ("repeats", "repeats_high", "shift_gain")
NAMED_CELL_COLUMNS = ["column", "value", "expected", "low", "high", "deviation", "level_shift"]


def rank_rows(
    model: RowModel, complete_rows: Dataset, scores: NDArray[np.float64], threshold: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of `complete_rows` by descending score, and the cells that explain the top rows.

    The columns of both tables are those of `Detection`.
    """
    order = np.argsort(-scores, kind="stable")
    anomalous = scores > threshold
    top = order[: max(int(anomalous.sum()), min(MIN_EXPLAINED_ROWS, len(order)))]
    reduce = np.sum if complete_rows.profile else np.mean
    rows = pd.DataFrame(
        {
            "entity": pd.Categorical.from_codes(complete_rows.entity_codes[order], complete_rows.entities),
            "time": complete_rows.time[order],
            "score": scores[order],
            "severity": model.classify_rarity(scores[order]).astype(np.int8),
            "anomaly": anomalous[order],
            "amount": reduce(complete_rows.values, axis=1)[order],
        }
    )
    rows["incident"] = number_incidents(rows, find_row_step(complete_rows))
    explained_rows = complete_rows.take_rows(top)
    expected, spread = model.baseline.predict_values(explained_rows)
    levels = model.baseline.predict_levels(explained_rows)
    cells = build_cells(explained_rows, expected, spread, _find_lowest(complete_rows))
    if levels is not None:
        cells["level_shift"] = levels.cell_shift.ravel().astype(np.float32)
    rows["expected_amount"] = _fill_column(reduce(expected, axis=1), len(rows))
    rows = rows.join(name_columns(cells, len(explained_rows.columns))).fillna({"causes": ""})
    rows["level"], rows["expected_level"] = np.nan, np.nan
    if levels is not None:
        rows["level"] = _fill_column(np.where(levels.is_unusual, levels.measured, np.nan), len(rows))
        rows["expected_level"] = _fill_column(np.where(levels.is_unusual, levels.expected, np.nan), len(rows))
    rows = rows.join(_name_jumps(model.baseline, explained_rows)).join(_name_patterns(model.baseline, explained_rows))
    return _add_counterfactuals(rows, cells, model, explained_rows, threshold)


def select_columns(cells: pd.DataFrame, count: int) -> NDArray[np.intp]:
    """Return the columns outside their band, the largest deviation first, (rows, `MAX_CAUSES`); −1 where fewer are.

    `cells` has `count` cells of every row. All names of columns come from this function.

    Example:
        >>> import pandas as pd
        >>> cells = pd.DataFrame({"value": [1.0, 9.0, 5.0], "low": 2.0, "high": 6.0, "deviation": [-2.5, 4.0, 0.8]})
        >>> select_columns(cells, 3).tolist()
        [[1, 0, -1]]
    """
    distance = np.where(find_outside(cells, count), np.abs(cells["deviation"].to_numpy().reshape(-1, count)), -1.0)
    columns = np.argsort(-distance, axis=1, kind="stable")[:, :MAX_CAUSES]
    columns = np.where(np.take_along_axis(distance, columns, axis=1) >= 0, columns, -1)
    return np.pad(columns, ((0, 0), (0, MAX_CAUSES - columns.shape[1])), constant_values=-1)


def find_outside(cells: pd.DataFrame, count: int) -> NDArray[np.bool_]:
    """Return True for the values outside their band, (rows, count); `cells` has `count` cells of every row."""
    value, low, high = (cells[name].to_numpy().reshape(-1, count) for name in ("value", "low", "high"))
    outside: NDArray[np.bool_] = (value > high) | (value < low)
    return outside


def name_columns(cells: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return for every explained row the column that deviates most, with its value and band, and up to three causes.

    The columns are those of `NAMED_CELL_COLUMNS`, and causes: "19:00 +9.1σ, …". A row without a column outside its band
    has an empty name, unless it has one column only.
    """
    positions = select_columns(cells, count)
    first = positions[:, 0] if count > 1 else np.zeros(len(positions), dtype=np.intp)
    cell = np.arange(len(positions)) * count + np.maximum(first, 0)
    table = cells.iloc[cell][NAMED_CELL_COLUMNS].reset_index(drop=True)
    table.loc[first < 0, table.columns] = None
    table["causes"] = [", ".join(causes) for causes in list_causes(cells, count)]
    return table


def list_causes(cells: pd.DataFrame, count: int) -> list[tuple[str, ...]]:
    """Return up to three columns outside their band of every row, with their deviation: ("19:00 +9.1σ", …)."""
    names, deviation = cells["column"].to_numpy().reshape(-1, count), cells["deviation"].to_numpy().reshape(-1, count)
    return [
        tuple(f"{names[row, column]} {format_deviation(deviation[row, column])}" for column in columns if column >= 0)
        for row, columns in enumerate(select_columns(cells, count))
    ]


def _name_jumps(baseline: Baseline, dataset: Dataset) -> pd.DataFrame:
    """Return for every row the jump that exceeds its largest usual size most: jump_column, jump, jump_high."""
    answer = baseline.predict_jumps(dataset)
    jump, largest = answer if answer is not None else (np.zeros(dataset.values.shape), np.ones(dataset.values.shape))
    lines = np.arange(len(dataset))
    column = (jump / largest).argmax(axis=1)
    jump, largest = jump[lines, column], largest[lines, column]
    is_unusual = jump > largest
    names = pd.Categorical.from_codes(np.where(is_unusual, column, -1), dataset.columns)
    return pd.DataFrame(
        {
            "jump_column": names,
            "jump": np.where(is_unusual, jump, np.nan),
            "jump_high": np.where(is_unusual, largest, np.nan),
        }
    )


def _name_patterns(baseline: Baseline, dataset: Dataset) -> pd.DataFrame:
    """Return unusual patterns of every row: repeats (equal values in a row), repeats_high, shift_gain (0–1)."""
    answer = baseline.predict_patterns(dataset)
    if answer is None:
        return pd.DataFrame({name: np.full(len(dataset), np.nan) for name in PATTERN_COLUMNS})
    patterns, largest = answer
    repeats, gain = np.where(patterns > largest, patterns, np.nan).T
    high = np.where(np.isnan(repeats), np.nan, np.floor(largest[:, 0]) + 1)
    return pd.DataFrame(dict(zip(PATTERN_COLUMNS, (repeats + 1, high, gain), strict=True)))


def format_deviation(deviation: float) -> str:
    """Return a deviation in spreads as text.

    Example:
        >>> format_deviation(-3.42), format_deviation(1234.56), format_deviation(5e12)
        ('-3.4σ', '+1235σ', '+5e+12σ')
    """
    return f"{deviation:{choose_deviation_format(deviation)}}σ"


def choose_deviation_format(deviation: float) -> str:
    """Return the format of a deviation in spreads, for Python and for figures."""
    size = abs(deviation)
    return f"+{'.1f' if size < 100 else '.0f' if size < 1e6 else '.0e'}"


def upgrade_tables(
    rows: pd.DataFrame, cells: pd.DataFrame, columns: tuple[str, ...]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of an earlier version with the columns of this one; the stored band gives the deviations."""
    half_width = (cells["high"] - cells["low"]).clip(lower=1e-12) / 2
    cells = cells.assign(
        deviation=(BAND_HALF_WIDTH * (cells["value"] - cells["expected"]) / half_width).astype(np.float32),
        level_shift=np.float32("nan"),
        unflagged_low=np.nan,
        unflagged_high=np.nan,
    )
    rows = rows.rename(columns={"expected": "expected_amount"}).drop(columns="causes")
    rows = rows.join(name_columns(cells, len(columns))).fillna({"causes": ""})
    rows = rows.assign(level=np.nan, expected_level=np.nan, counterfactual="")
    rows = rows.assign(jump_column=None, jump=np.nan, jump_high=np.nan)
    rows = rows.assign(**dict.fromkeys(PATTERN_COLUMNS, np.nan))
    rows["incident"] = number_incidents(rows, None)
    return rows, cells


def _fill_column(values: Floats, count: int) -> Floats:
    """Return `values` of the first rows, NaN for the rest, (count,)."""
    return np.concatenate([values, np.full(count - len(values), np.nan)])


def _find_lowest(complete_rows: Dataset) -> float:
    """Return the lower limit of all bands: 0 for data without a negative value, else none."""
    return 0.0 if len(complete_rows) and complete_rows.values.min() >= 0 else -np.inf


def build_cells(dataset: Dataset, expected: Floats, spread: Floats, lowest: Floats | float) -> pd.DataFrame:
    """Return the cells of all rows, in their order, as `Detection.cells` has them; their level_shift is unknown.

    `expected` and `spread` are (rows, columns). No band begins below `lowest`, one number or (rows, 1).
    """
    count = len(dataset.columns)
    low = np.minimum(np.maximum(expected - BAND_HALF_WIDTH * spread, lowest), expected)
    return pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(dataset), dtype=np.int32), count),
            "column": pd.Categorical.from_codes(np.tile(np.arange(count), len(dataset)), dataset.columns),
            "value": dataset.values.ravel().astype(np.float32),
            "expected": expected.ravel().astype(np.float32),
            "low": low.ravel().astype(np.float32),
            "high": (expected + BAND_HALF_WIDTH * spread).ravel().astype(np.float32),
            "deviation": ((dataset.values - expected) / spread).ravel().astype(np.float32),
            "level_shift": np.float32("nan"),
        }
    )


def _add_counterfactuals(
    rows: pd.DataFrame, cells: pd.DataFrame, model: RowModel, explained_rows: Dataset, threshold: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add the column `counterfactual` to `rows`, and the interval of every named column to `cells`."""
    count = len(explained_rows.columns)
    flagged_rows = explained_rows.take_rows(np.arange(int(rows["anomaly"].sum())))
    named = select_columns(cells, count)[: len(flagged_rows)]
    outside = find_outside(cells, count)[: len(flagged_rows)]
    answers = find_counterfactuals(model, flagged_rows, named, outside, threshold, len(rows))
    rows["counterfactual"] = pd.Categorical([*answers.kind, *[""] * (len(rows) - len(answers.kind))])
    intervals = np.full((len(cells), 2), np.nan)
    row, cause = np.nonzero(named[: len(answers.kind)] >= 0)
    intervals[row * count + named[row, cause]] = answers.intervals[row, cause]
    return rows, cells.assign(unflagged_low=intervals[:, 0], unflagged_high=intervals[:, 1])
