"""Data of the run card of intervals."""

import pandas as pd

from core.messages import N_, Message
from core.runs.card_data import CardData, describe_part, to_finite
from core.runs.card_model import CardIntervals, Picture, ScoreCard
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.result import Intervals

COUNT_METRICS = ("rows_scored", "anomalies", "events", "events_critical", "alarm_rate", "skill")
MAX_BARS = 20


def describe(result: Intervals | FolderIntervals) -> CardData:
    """Return the errors beside seasonal naive, promised and measured coverage, the counts, and the worst entities.

    For a folder: the coverage, the counts, the entities of the worst events, and the folder of the tables.
    """
    if isinstance(result, FolderIntervals):
        return _describe_folder(result)
    metrics = result.metrics()
    outside = result.rows.loc[result.rows["anomalous"], "entity"]
    return CardData(
        files=result.data.files,
        part=describe_part(result.judged_rows, result.spec),
        score_card=_build_score_card(result),
        intervals=_describe_coverage(result.level, metrics.get("coverage")),
        counts={name: metrics[name] for name in COUNT_METRICS if name in metrics},
        picture=_build_picture(N_("Points outside their interval"), "points", outside),
        notes=result.notes,
    )


def _describe_folder(result: FolderIntervals) -> CardData:
    location_note = Message(
        N_("All tables are in {folder}. Run the same command again to judge only what is missing there."),
        {"folder": result.spec.out},
    )
    return CardData(
        files=result.data.files,
        intervals=_describe_coverage(result.spec.level, 1 - result.alarm_rate),
        counts=result.metrics(),
        picture=_build_picture(N_("Worst events"), "events", result.events["entity"]),
        notes=(*result.notes, location_note),
    )


def _describe_coverage(level: float, coverage: float | None) -> CardIntervals:
    tail = (1 - level) / 2
    return CardIntervals(tail, 1 - tail, level, to_finite(coverage))


def _build_score_card(result: Intervals) -> ScoreCard:
    columns = {"rmse": "rmse", "mae": "mae", "mase": result.mase_name, "mwql": "mwql", "coverage": result.coverage_name}
    lines = result.get_scores().to_dict("records")
    return ScoreCard(
        tuple(columns),
        tuple((str(line["model"]), tuple(to_finite(line[column]) for column in columns.values())) for line in lines),
    )


def _build_picture(title: str, unit: str, entities: pd.Series) -> Picture | None:
    """Return the number of lines of each entity, the most first; None without any."""
    counts = entities.astype(str).value_counts().head(MAX_BARS)
    if counts.empty:
        return None
    return Picture("bars", Message(title), tuple(map(str, counts.index)), {unit: tuple(map(float, counts))})
