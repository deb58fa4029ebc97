"""Run card of the sequences task."""

from core.messages import N_, Text
from core.runs.card_data import (
    BY_SHARE,
    BY_TAIL,
    NO_LABELS,
    VERDICTS,
    CardData,
    build_score_card,
    count_scores,
    describe_part,
    finite,
)
from core.runs.card_model import Threshold
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.spec import THOUSAND

ALARMS = {
    THOUSAND: N_(
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
COUNTS = ("rows_fitted", "rows_judged", "anomalies", "events", "entities_with_events")


def describe(detection: SequenceDetection) -> CardData:
    """Return the threshold with its origin, the metrics of detector and baselines, the counts and the histogram."""
    metrics = detection.metrics()
    no_labels = () if len(detection.card) else (Text(NO_LABELS),)
    return CardData(
        files=detection.data.files,
        part=describe_part(detection.rows, detection.spec),
        threshold=_describe_threshold(detection),
        score_card=build_score_card(detection.card),
        counts={name: metrics[name] for name in COUNTS if name in metrics},
        picture=count_scores(detection.test_rows["score"], detection.threshold),
        notes=(*no_labels, *detection.notes),
    )


def _describe_threshold(detection: SequenceDetection) -> Threshold:
    asked, per = detection.model_spec, detection.per
    return Threshold(
        detection.threshold,
        detection.method,
        asked.amount,
        per,
        _explain_threshold(detection),
        detection.promise,
        finite(detection.measured_rate),
    )


def _explain_threshold(detection: SequenceDetection) -> Text:
    """Return the origin of the threshold."""
    asked = detection.model_spec
    if detection.method == VERDICTS:
        return Text(N_("People chose it from their verdicts; it promises nothing about false alarms."))
    if asked.threshold == "alarms":
        return Text(ALARMS[detection.per], {"amount": asked.amount})
    if asked.threshold == "best_f1":
        return Text(N_("The best for the labels of the rows it is judged on: an oracle, not what to expect."))
    return Text(BY_TAIL if asked.threshold == "pot" else BY_SHARE, {"share": asked.amount})
