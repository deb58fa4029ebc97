"""Run card of the anomalies task."""

from core.messages import Text
from core.runs.card_data import (
    BY_SHARE,
    BY_TAIL,
    BY_VERDICTS,
    NO_LABELS,
    VERDICTS,
    CardData,
    count_scores,
    describe_part,
)
from core.runs.card_model import Threshold
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
        picture=count_scores(detection.rows["score"], detection.threshold),
        notes=(Text(NO_LABELS),),
    )


def _describe_threshold(detection: Detection, share: float) -> Threshold:
    asked, value = detection.model_spec, detection.threshold
    if detection.threshold_run:
        reason = Text(BY_VERDICTS, {"run": detection.threshold_run})
        return Threshold(value, VERDICTS, asked.risk or asked.contamination, "rows", reason, None, share)
    if asked.risk is not None:
        return Threshold(value, "pot", asked.risk, "rows", Text(BY_TAIL, {"share": asked.risk}), asked.risk, share)
    reason = Text(BY_SHARE, {"share": asked.contamination})
    return Threshold(value, "contamination", asked.contamination, "rows", reason, None, share)
