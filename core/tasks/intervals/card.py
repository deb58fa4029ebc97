"""Data of the run card of intervals."""

from core.messages import N_, Message
from core.runs.card_data import CardData, describe_part, to_finite
from core.runs.card_model import CardIntervals, Picture, ScoreCard
from core.tasks.intervals.result import Intervals

COUNT_METRICS = ("rows_scored", "anomalies", "events", "events_critical", "alarm_rate", "skill")
MAX_BARS = 20


def describe(result: Intervals) -> CardData:
    """Return the errors beside seasonal naive, promised and measured coverage, the counts, and the worst entities."""
    metrics = result.metrics()
    tail = (1 - result.level) / 2
    return CardData(
        files=result.data.files,
        part=describe_part(result.judged_rows, result.spec),
        score_card=_build_score_card(result),
        intervals=CardIntervals(tail, 1 - tail, result.level, to_finite(metrics.get("coverage"))),
        counts={name: metrics[name] for name in COUNT_METRICS if name in metrics},
        picture=_build_picture(result),
        notes=result.notes,
    )


def _build_score_card(result: Intervals) -> ScoreCard:
    columns = {"rmse": "rmse", "mae": "mae", "mase": result.mase_name, "mwql": "mwql", "coverage": result.coverage_name}
    lines = result.get_scores().to_dict("records")
    return ScoreCard(
        tuple(columns),
        tuple((str(line["model"]), tuple(to_finite(line[column]) for column in columns.values())) for line in lines),
    )


def _build_picture(result: Intervals) -> Picture | None:
    """Return the points outside by entity, the most first; None without any."""
    counts = result.rows.loc[result.rows["anomalous"], "entity"].astype(str).value_counts().head(MAX_BARS)
    if counts.empty:
        return None
    title = Message(N_("Points outside their interval"))
    return Picture("bars", title, tuple(map(str, counts.index)), {"points": tuple(map(float, counts))})
