"""Judge of watched rows: the model of a run, with its threshold and its explanation of a row."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DAY, Dataset
from core.detectors.row_model import RowModel
from core.runs.model_files import load_model
from core.runs.model_template import load_template
from core.tasks.anomalies.explanation import build_cells, list_causes, name_columns
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import load_detection
from core.watches.judged_table import build_judged_table
from core.watches.judgement import Judgement
from core.workspace import Workspace


@dataclass(frozen=True)
class RowJudge:
    """Judges each row by itself. Implements `core.watches.judgement.Judge`.

    lowest  lower limit of all bands: 0 for a model of data without a negative value, else −∞
    """

    model: RowModel
    template: Dataset
    target_rate: float | None
    lowest: float
    past_rows: int = 0

    @classmethod
    def load(cls, run_id: str, workspace: Workspace) -> Self:
        """Return the judge of a run. Raises the errors of `load_model` and `load_detection`."""
        model, detection = load_model(run_id, RowModel, workspace), load_detection(run_id, workspace)
        step_seconds = vars(model).get("step_seconds_")  # absent in early models
        template = load_template(detection.spec.dataset, detection.data, step_seconds, workspace)
        return cls(model, template, detection.target_rate, _find_lowest(detection))

    def judge_rows(self, dataset: Dataset, is_new: NDArray[np.bool_]) -> Judgement:
        """Judge the new rows. Raises DataError for other columns or another unit than those of the model."""
        new_rows = dataset.take_rows(is_new)
        rows = self.model.prepare_rows(new_rows)
        score = self.model.score(rows)
        is_anomalous = score > self.model.threshold_
        table = build_judged_table(
            rows.entity,
            rows.compute_instants(),
            score,
            self.model.threshold_,
            is_anomalous,
            self.model.classify_rarity(score),
            self._explain(rows.take_rows(is_anomalous)),
        )
        step = DAY if rows.profile or rows.step is None else rows.step
        left_out = len(new_rows) - len(rows)
        return Judgement(table, timedelta(seconds=step.total_seconds()), self.target_rate, left_out)

    def _explain(self, flagged_rows: Dataset) -> pd.DataFrame:
        """Return the columns of `name_columns` for every row, the value as `measured`."""
        count = len(flagged_rows.columns)
        if not len(flagged_rows):
            return pd.DataFrame()
        expected, spread = self.model.baseline.predict_values(flagged_rows)
        lowest = np.where(flagged_rows.values.min(axis=1, keepdims=True) < 0, -np.inf, self.lowest)
        cells = build_cells(flagged_rows, expected, spread, lowest)
        named = name_columns(cells, count).rename(columns={"value": "measured"})
        return named.assign(causes=pd.Series(list_causes(cells, count), dtype=object))


def load_judge(run_id: str, workspace: Workspace) -> RowJudge:
    """Return the judge of a run. Raises the errors of `RowJudge.load`."""
    return RowJudge.load(run_id, workspace)


def _find_lowest(detection: Detection) -> float:
    """Return the lower limit of the bands of the run: 0 if none of its explained cells is or may be negative."""
    cells = detection.cells
    is_positive = len(cells) and cells["value"].min() >= 0 and cells["low"].min() >= 0
    return 0.0 if is_positive else -np.inf
