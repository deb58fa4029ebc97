"""Template of a model: an empty dataset with the form of the data that it was trained on."""

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, DataSummary, make_index
from core.errors import NotFoundError
from core.workspace import Workspace


def load_template(digest: str, data: DataSummary, step_seconds: float | None, workspace: Workspace) -> Dataset:
    """Return the dataset of `digest` without its rows.

    Where it is no longer stored, the result has the files, unit, columns and kind of rows of `data`, a step of
    `step_seconds`, and no zone.
    """
    try:
        stored = workspace.datasets.load(digest)
        return stored.take_rows(np.zeros(0, dtype=np.intp)).replace(notes=(), recipe=(), source="")
    except NotFoundError:
        frame = pd.DataFrame(columns=list(data.columns), index=make_index([], pd.DatetimeIndex([])), dtype=float)
        step = None if step_seconds is None else pd.Timedelta(seconds=step_seconds)
        return Dataset(frame, layout="", profile=data.profile, step=step, unit=data.unit, files=data.files)
