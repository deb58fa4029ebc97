"""Small tables for models."""

import pandas as pd

from core.data.dataset import Dataset


def make_input_table(dataset: Dataset, rows: int = 20) -> pd.DataFrame:
    frame = dataset.take_rows(dataset.is_complete).frame.head(rows).reset_index()
    return frame.assign(entity=frame["entity"].astype(str))
