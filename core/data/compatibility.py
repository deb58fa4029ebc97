"""Check that data fit a fitted model."""

from collections.abc import Sequence

from core.data.dataset import Dataset
from core.errors import DataError
from core.messages import N_


def check_compatible(dataset: Dataset, columns: Sequence[str], profile: bool, unit: str) -> None:
    """Raise DataError if `dataset` has other columns or another unit than the data a model was fitted on."""
    if dataset.columns != list(columns) or dataset.profile != profile:
        raise DataError(
            N_("{file} has the columns {value}. The model was fitted on the columns {accepted}."),
            file=", ".join(dataset.files),
            value=_format_columns(dataset.columns),
            accepted=_format_columns(columns),
        )
    if dataset.unit != unit:
        raise DataError(
            N_("{file} has the unit {value}. The model was fitted on data in {accepted}."),
            file=", ".join(dataset.files),
            value=dataset.unit or "?",
            accepted=unit or "?",
        )


def _format_columns(columns: Sequence[str]) -> str:
    return ", ".join(columns[:5]) + (f" … ({len(columns)})" if len(columns) > 5 else "")
