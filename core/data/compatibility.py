"""Check that data fit a fitted model."""

from collections.abc import Sequence

from core.data.dataset import Dataset
from core.errors import DataError
from core.messages import N_


def check_compatible(
    dataset: Dataset, columns: Sequence[str], profile: bool, unit: str, *, by_position: bool = False
) -> None:
    """Raise DataError if `dataset` has other columns or another unit than the data a model was fitted on.

    With `by_position`, a column without a name is the time of day at the same position: windows of days (.seq) do not
    name their columns. It is for models that know a row only as values in their order.
    """
    has_names = dataset.columns == list(columns) and dataset.profile == profile
    if not has_names and not (by_position and _has_positions(dataset, columns, profile)):
        raise DataError(
            N_("{file} has the columns {value}. The model was trained on the columns {accepted}."),
            file=", ".join(dataset.files),
            value=_format_columns(dataset.columns),
            accepted=_format_columns(columns),
        )
    if dataset.unit != unit:
        raise DataError(
            N_("{file} has the unit {value}. The model was trained on data in {accepted}."),
            file=", ".join(dataset.files),
            value=dataset.unit or "?",
            accepted=unit or "?",
        )


def _has_positions(dataset: Dataset, columns: Sequence[str], profile: bool) -> bool:
    """Tell whether one side has the times of a day, and the other as many columns without names."""
    unnamed = columns if dataset.profile else dataset.columns
    is_unnamed = list(unnamed) == [f"column_{number}" for number in range(1, len(unnamed) + 1)]
    return dataset.profile != profile and is_unnamed and len(columns) == len(dataset.columns)


def _format_columns(columns: Sequence[str]) -> str:
    return ", ".join(columns[:5]) + (f" … ({len(columns)})" if len(columns) > 5 else "")
