"""Daily profiles with planted faults, and their detection without a run."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from core.data.dataset import Dataset, make_index
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import RowModel
from core.evaluation.thresholds import fit_contamination_threshold
from core.tasks.anomalies.explanation import rank_rows
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.spec import DetectionSpec, list_detectors

HOURS = tuple(f"{hour:02d}:00" for hour in range(0, 24, 3))


def explain(dataset: Dataset, baseline: str, share: float, trees: int = 10) -> tuple[Detection, RowModel, Dataset]:
    """Return the detection of a dataset, its model and its complete rows, without a run."""
    model = RowModel(list_detectors()["isolation-forest"](n_estimators=trees), BASELINE_CLASSES[baseline]())
    complete_rows, scores = model.fit_score(dataset)
    threshold = fit_contamination_threshold(scores, share)
    rows, cells = rank_rows(model, complete_rows, scores, threshold)
    spec = DetectionSpec(baseline=baseline, contamination=share)
    return Detection(spec, spec, dataset.summary, threshold, 0, rows, cells), model, complete_rows


@st.composite
def make_profiles(draw: st.DrawFn) -> Dataset:
    """Draw days of two entities with planted spikes, zeros, high days and moved hours."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    days = draw(st.integers(20, 60))
    offset = draw(st.sampled_from([0.0, -50.0]))  # without and with negative values
    shape = 10 + 5 * np.sin(np.arange(len(HOURS)))
    values = np.exp(random.normal(0, draw(st.sampled_from([0.01, 0.05, 0.4])), (2 * days, len(HOURS)))) * shape + offset
    for kind in draw(st.lists(st.sampled_from(["spike", "zero", "high day", "moved", "flat"]), max_size=4)):
        row, column = random.integers(2 * days), random.integers(len(HOURS))
        if kind == "spike":
            values[row, column] *= 20
        elif kind == "zero":
            values[row, column] = 0.0
        elif kind == "high day":
            values[row] *= 3
        elif kind == "moved":
            values[row] = np.roll(values[row], 2)
        else:
            values[row, : column + 1] = values[row, 0]
    dates = np.tile(pd.date_range("2024-01-01", periods=days), 2)
    index = make_index(np.repeat(["a", "b"], days), pd.DatetimeIndex(dates))
    return Dataset(
        pd.DataFrame(values, index, list(HOURS)), "demo", profile=True, step=pd.Timedelta(hours=3), unit="MW"
    )
