"""Notes of intervals of a folder: limits that a reader has to know, over all batches."""

from collections.abc import Iterator

import pandas as pd

from core.messages import N_, Message
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.notes import describe_cleaning, list_promise_notes

PERIOD_COLUMNS = ["step_s", "horizon", "calibration_windows", "test_windows", "first_judged", "last_judged"]
MAX_BATCH_FACTOR = 1.5  # rows of a dataset over those of a batch, above which it was not divided


def list_folder_notes(result: FolderIntervals, models: pd.DataFrame, unjudged: int) -> Iterator[Message]:
    """Yield the limits of a result.

    models    one row per dataset and measure, see `MODELS_SCHEMA`
    unjudged  number of series without a judged point
    """
    yield Message(
        N_(
            "Each file, and each batch of a large file, has its own model ({count} in all). It learns from "
            "these series only, so other files or batches give slightly different intervals."
        ),
        {"count": len(models)},
    )
    if result.rows:
        yield from list_promise_notes(result)
    if unjudged:
        yield Message(
            N_(
                "{count} series has no judged point: no forecast was possible, or no value is known in the "
                "judged period. In {file}, its row is 0.",
                "{count} series have no judged point: no forecast was possible, or no value is known in "
                "the judged period. In {file}, their rows are 0.",
            ),
            {"count": unjudged, "file": "summary.parquet"},
        )
    yield from _list_period_notes(models)
    yield from _list_model_notes(models)
    yield from _list_size_notes(models, result.spec.batch_rows)
    for measure, parts in models.groupby("measure", sort=False):
        yield from describe_cleaning(
            str(measure), *(int(parts[name].sum()) for name in ("spikes", "imputed", "silent"))
        )


def _list_period_notes(models: pd.DataFrame) -> Iterator[Message]:
    """Yield whether batches were judged over different periods, because their series begin or end elsewhere."""
    periods = models[PERIOD_COLUMNS].drop_duplicates()
    if len(periods) > 1:
        yield Message(
            N_(
                "The batches were judged over {count} different periods or horizons, from {first} to {last}, because "
                "their series begin or end at different times. {file} lists them."
            ),
            {
                "count": len(periods),
                "first": str(periods["first_judged"].min()),
                "last": str(periods["last_judged"].max()),
                "file": "models.parquet",
            },
        )


def _list_model_notes(models: pd.DataFrame) -> Iterator[Message]:
    """Yield how many forecasters are worse than seasonal naive, or not compared with it."""
    worse, unknown = int((models["mwql"] > models["mwql_naive"]).sum()), int(models["mwql_naive"].isna().sum())
    if worse:
        yield Message(
            N_(
                "{count} of {total} models is worse than seasonal naive on the judged points (mean "
                "weighted quantile loss). {file} lists it. Use seasonal naive, or other settings.",
                "{count} of {total} models are worse than seasonal naive on the judged points (mean "
                "weighted quantile loss). {file} lists them. Use seasonal naive, or other settings.",
            ),
            {"count": worse, "total": len(models), "file": "models.parquet"},
        )
    if unknown:
        yield Message(
            N_(
                "{count} of {total} models is not compared with seasonal naive, which has no forecast there.",
                "{count} of {total} models are not compared with seasonal naive, which has no forecast there.",
            ),
            {"count": unknown, "total": len(models)},
        )


def _list_size_notes(models: pd.DataFrame, batch_rows: int) -> Iterator[Message]:
    """Yield the largest file that was judged in one piece, though it has more rows than a batch."""
    large = models[(models["rows"] > MAX_BATCH_FACTOR * batch_rows) & (models["entities"] > 1)]
    if len(large):
        largest = large.loc[large["rows"].idxmax()]
        yield Message(
            N_(
                "{file} was judged in one piece of {rows} rows, more than the {limit} of a batch: only Parquet files "
                "are divided by entity. Store it as Parquet to judge it in batches with less memory."
            ),
            {"file": str(largest["file"]), "rows": int(largest["rows"]), "limit": batch_rows},
        )
