"""Run card of the sequences task."""

from core.messages import N_, Message
from core.phrases import to_rare_percent
from core.runs.card_data import (
    CHOICE_REASONS,
    NO_LABELS_NOTE,
    SHARE_REASON,
    TAIL_REASON,
    CardData,
    build_score_card,
    build_score_histogram,
    describe_part,
    to_finite,
)
from core.runs.card_model import CardThreshold
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.spec import PER_1000_ROWS

ALARM_REASONS = {
    PER_1000_ROWS: N_(
        "Target: at most {amount} false alarms per 1,000 rows, over all entities together. The "
        "threshold is computed from held-out rows."
    ),
    "hour": N_(
        "Target: at most {amount} false alarms per hour, over all entities together. The "
        "threshold is computed from held-out rows."
    ),
    "day": N_(
        "Target: at most {amount} false alarms per day, over all entities together. The "
        "threshold is computed from held-out rows."
    ),
    "week": N_(
        "Target: at most {amount} false alarms per week, over all entities together. The "
        "threshold is computed from held-out rows."
    ),
    "month": N_(
        "Target: at most {amount} false alarms per month, over all entities together. The "
        "threshold is computed from held-out rows."
    ),
}
COUNT_METRICS = ("rows_fitted", "rows_scored", "anomalies", "events", "entities_with_events")


def describe(detection: SequenceDetection) -> CardData:
    """Return the threshold with its origin, the metrics of detector and baselines, the counts and the histogram."""
    metrics = detection.metrics()
    no_labels = () if len(detection.card) else (Message(NO_LABELS_NOTE),)
    return CardData(
        files=detection.data.files,
        part=describe_part(detection.rows, detection.spec),
        threshold=_describe_threshold(detection),
        score_card=build_score_card(detection.card),
        counts={name: metrics[name] for name in COUNT_METRICS if name in metrics},
        picture=build_score_histogram(detection.test_rows["score"], detection.threshold),
        notes=(*no_labels, *detection.notes),
    )


def _describe_threshold(detection: SequenceDetection) -> CardThreshold:
    spec, period = detection.model_spec, detection.per
    return CardThreshold(
        detection.threshold,
        detection.method,
        spec.amount,
        period,
        _explain_threshold(detection),
        detection.target_rate,
        to_finite(detection.measured_rate),
    )


def _explain_threshold(detection: SequenceDetection) -> Message:
    """Return the origin of the threshold."""
    spec = detection.model_spec
    if detection.method in CHOICE_REASONS:
        return Message(CHOICE_REASONS[detection.method])
    if spec.threshold == "alarms":
        return Message(ALARM_REASONS[detection.per], {"amount": spec.amount})
    if spec.threshold == "best_f1":
        return Message(
            N_(
                "Best-F1 threshold for the labels of the evaluated rows. It is an oracle: the F1 on "
                "new rows is usually lower."
            )
        )
    return Message(TAIL_REASON if spec.threshold == "pot" else SHARE_REASON, {"share": to_rare_percent(spec.amount)})
