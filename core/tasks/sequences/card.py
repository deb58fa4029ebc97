"""Run card of the sequences task."""

from core.messages import N_, Message
from core.runs.card_data import (
    NO_LABELS_NOTE,
    SHARE_REASON,
    TAIL_REASON,
    VERDICTS_METHOD,
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
        "At most {amount} false alarms per 1,000 rows were asked for, over all entities together; rows held out decide."
    ),
    "hour": N_(
        "At most {amount} false alarms per hour were asked for, over all entities together; rows held out decide."
    ),
    "day": N_(
        "At most {amount} false alarms per day were asked for, over all entities together; rows held out decide."
    ),
    "week": N_(
        "At most {amount} false alarms per week were asked for, over all entities together; rows held out decide."
    ),
    "month": N_(
        "At most {amount} false alarms per month were asked for, over all entities together; rows held out decide."
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
    if detection.method == VERDICTS_METHOD:
        return Message(N_("People chose it from their verdicts; it promises nothing about false alarms."))
    if spec.threshold == "alarms":
        return Message(ALARM_REASONS[detection.per], {"amount": spec.amount})
    if spec.threshold == "best_f1":
        return Message(N_("The best for the labels of the rows it is judged on: an oracle, not what to expect."))
    return Message(TAIL_REASON if spec.threshold == "pot" else SHARE_REASON, {"share": spec.amount})
