"""Run card of the anomalies task."""

from core.messages import Message
from core.runs.card_data import (
    CHOICE_REASONS,
    NO_LABELS_NOTE,
    SHARE_REASON,
    TAIL_REASON,
    CardData,
    build_score_histogram,
    describe_part,
)
from core.runs.card_model import CardThreshold
from core.tasks.anomalies.result import SEVERITIES, Detection


def describe(detection: Detection) -> CardData:
    """Return the threshold with its origin, the counts by severity and the histogram of scores."""
    share = len(detection.anomalies) / max(len(detection.rows), 1)
    severities = detection.anomalies["severity"].value_counts()
    return CardData(
        files=detection.data.files,
        part=describe_part(detection.rows, detection.spec),
        threshold=_describe_threshold(detection, share),
        counts={
            "flagged_share": share,
            **{name: int(severities.get(number, 0)) for number, name in enumerate(SEVERITIES)},
        },
        picture=build_score_histogram(detection.rows["score"], detection.threshold),
        notes=(Message(NO_LABELS_NOTE),),
    )


def _describe_threshold(detection: Detection, share: float) -> CardThreshold:
    spec, value = detection.model_spec, detection.threshold
    if detection.threshold_run:
        method = detection.method if detection.method in CHOICE_REASONS else "verdicts"  # of earlier versions
        reason = Message(CHOICE_REASONS[method])
        return CardThreshold(value, method, spec.risk or spec.contamination, "rows", reason, None, share)
    if spec.risk is not None:
        return CardThreshold(
            value, "pot", spec.risk, "rows", Message(TAIL_REASON, {"share": spec.risk}), spec.risk, share
        )
    reason = Message(SHARE_REASON, {"share": spec.contamination})
    return CardThreshold(value, "contamination", spec.contamination, "rows", reason, None, share)
