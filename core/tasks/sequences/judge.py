"""Judge of watched series: the model of a run scores each new row by the rows before it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.compatibility import check_compatible
from core.data.dataset import DAY, Dataset
from core.data.series import EntitySeries, split_by_entity
from core.detectors.sequence_model import SequenceModel
from core.errors import OptionError
from core.evaluation.events import EventSpan
from core.messages import N_
from core.runs.model_files import load_model
from core.runs.model_template import load_template
from core.tasks.sequences.events import grade_peaks
from core.tasks.sequences.explanations import SeriesExplainer
from core.tasks.sequences.run import load_sequences
from core.watches.judged_table import build_judged_table
from core.watches.judgement import Judgement
from core.workspace import Workspace

EXPLAINED_PAST_ROWS = 60  # rows before an anomalous one that tell what is usual
MAX_CAUSES = 3


@dataclass(frozen=True)
class SeriesJudge:
    """Judges each row by so many rows before it that its score is that of the whole series.

    No later row counts, so a series may be split into ticks anywhere. Implements `core.watches.judgement.Judge`.
    """

    model: SequenceModel
    template: Dataset
    target_rate: float | None

    @classmethod
    def load(cls, run_id: str, workspace: Workspace) -> Self:
        """Return the judge of a run.

        Raises OptionError for a model whose scores depend on later rows, or whose threshold follows the scores, and the
        errors of `load_model` and `load_sequences`.
        """
        model, detection = load_model(run_id, SequenceModel, workspace), load_sequences(run_id, workspace)
        if model.detector.past_rows is None:
            raise OptionError(
                N_(
                    "The detector {detector} scores a row by later rows as well, which a watch does not have. Train "
                    "it as for a stream: without a centred window, or with another detector, such as pca-residual."
                ),
                detector=model.detector.name,
            )
        if detection.method == "adaptive":
            raise OptionError(
                N_("The threshold of this model follows the scores. A watch needs a model with a fixed threshold.")
            )
        step_seconds = vars(model).get("step_seconds_")  # absent in early models
        template = load_template(detection.spec.dataset, detection.data, step_seconds, workspace)
        return cls(model, template, detection.target_rate)

    @property
    def past_rows(self) -> int:
        """Rows of an entity before a new one: those of its score, and those that tell what is usual."""
        return self._score_rows + EXPLAINED_PAST_ROWS

    @property
    def _score_rows(self) -> int:
        """Rows before a row that its score depends on."""
        return self.model.detector.past_rows or 0

    def judge_rows(self, dataset: Dataset, is_new: NDArray[np.bool_]) -> Judgement:
        """Judge the new rows. Raises DataError for other columns or another unit than those of the model."""
        check_compatible(dataset, self.model.columns_, self.model.profile_, self.model.unit_, by_position=True)
        series = [part for part in split_by_entity(dataset) if is_new[part.row_positions].any()]
        new_rows = [np.flatnonzero(is_new[part.row_positions]) for part in series]
        score = np.concatenate([*self._score_series(series, new_rows), np.zeros(0)])
        is_anomalous = score > self.model.threshold_
        pairs = [(part, row) for part, rows in zip(series, new_rows, strict=True) for row in rows.tolist()]
        positions = np.array([part.row_positions[row] for part, row in pairs], dtype=np.intp)
        flagged = [pair for pair, is_flagged in zip(pairs, is_anomalous, strict=True) if is_flagged]
        judged = dataset.take_rows(positions)
        table = build_judged_table(
            judged.entity,
            judged.compute_instants(),
            score,
            self.model.threshold_,
            is_anomalous,
            grade_peaks(self.model, score),
            pd.DataFrame([self._explain(part, row) for part, row in flagged]),
        )
        step = DAY if dataset.profile or dataset.step is None else dataset.step
        return Judgement(table, timedelta(seconds=step.total_seconds()), self.target_rate)

    def _score_series(self, series: list[EntitySeries], new_rows: list[NDArray[np.intp]]) -> list[Floats]:
        """Return the scores of the new rows of every series."""
        if not self.model.detector.carries_state:
            starts = [max(rows[0] - self._score_rows, 0) for rows in new_rows]
            results = self.model.score_series(
                [part.values[start : rows[-1] + 1] for part, start, rows in zip(series, starts, new_rows, strict=True)]
            )
            return [
                result.score[rows - start].astype(np.float64)
                for result, start, rows in zip(results, starts, new_rows, strict=True)
            ]
        # a state that was carried longer in one tick than in another would give other scores
        stretches = [
            part.values[max(row - self._score_rows, 0) : row + 1]
            for part, rows in zip(series, new_rows, strict=True)
            for row in rows
        ]
        last_scores = [float(result.score[-1]) for result in self.model.score_series(stretches)]
        return np.split(np.array(last_scores), np.cumsum([len(rows) for rows in new_rows])[:-1])

    def _explain(self, series: EntitySeries, row: int) -> dict[str, object]:
        """Return what moved in an anomalous row, by the rows before it."""
        first = max(row - self.past_rows, 0)
        values = series.values[first : row + 1]
        [scores] = self.model.score_series([values])
        anomaly = scores.score.astype(np.float64) > self.model.threshold_
        last = len(values) - 1
        span = EventSpan(last, last)
        # earlier anomalies are not usual either
        spans = [span, *(EventSpan(position, position) for position in np.flatnonzero(anomaly[:-1]).tolist())]
        explainer = SeriesExplainer(self.model, self.model.columns_, values, scores, anomaly, spans)
        column = explainer.rank_causes(span)[0][:1]
        usual = explainer.find_usual_range(span, last, last + 1, column)
        return {
            "column": self.model.columns_[column[0]],
            "measured": float(values[last, column[0]]),
            "expected": float(usual.expected[0, 0]),
            "low": float(usual.low[0, 0]),
            "high": float(usual.high[0, 0]),
            "causes": explainer.list_causes(span)[:MAX_CAUSES],
        }


def load_judge(run_id: str, workspace: Workspace) -> SeriesJudge:
    """Return the judge of a run. Raises the errors of `SeriesJudge.load`."""
    return SeriesJudge.load(run_id, workspace)
