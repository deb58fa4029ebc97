"""Run card of the anomalies task."""

from collections.abc import Iterator

from core.messages import N_, Message
from core.phrases import to_rare_percent
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
from core.tasks.anomalies.spec import PER_1000_ROWS, DetectionSpec

ALARM_REASONS = {
    PER_1000_ROWS: N_("Only rows that stand out are flagged, with at most {amount} false alarms in 1,000 rows."),
    "day": N_("Only rows that stand out are flagged, with at most {amount} false alarms a day per entity."),
    "week": N_("Only rows that stand out are flagged, with at most {amount} false alarms a week per entity."),
    "month": N_("Only rows that stand out are flagged, with at most {amount} false alarms a month per entity."),
    "year": N_("Only rows that stand out are flagged, with at most {amount} false alarms a year per entity."),
}

MAX_CARD_INCIDENTS = 5


def describe(detection: Detection) -> CardData:
    """Return the threshold with its origin, the counts by severity and the histogram of scores."""
    share = len(detection.anomalies) / max(len(detection.rows), 1)
    severities = detection.anomalies["severity"].value_counts()
    return CardData(
        files=detection.data.files,
        part=describe_part(detection.rows, detection.spec),
        threshold=_describe_threshold(detection, share),
        counts={
            "incidents": len(detection.incidents),
            "flagged_share": share,
            **{name: int(severities.get(number, 0)) for number, name in enumerate(SEVERITIES)},
        },
        picture=build_score_histogram(detection.rows["score"], detection.threshold),
        notes=(Message(NO_LABELS_NOTE), *detection.notes, *_describe_incidents(detection)),
    )


def _describe_incidents(detection: Detection) -> Iterator[Message]:
    """Yield a sentence for each of the incidents with the highest scores."""
    incidents = detection.incidents.head(MAX_CARD_INCIDENTS)
    for row, explanation in zip(incidents["row"], detection.describe_values(incidents["row"]), strict=True):
        line = detection.rows.loc[row]
        yield Message(
            N_("{entity}, {time}: {explanation}"),
            {
                "entity": str(line["entity"]),
                "time": str(line["time"]).removesuffix(" 00:00:00"),
                "explanation": explanation,
            },
        )


def _describe_threshold(detection: Detection, share: float) -> CardThreshold:
    spec, value = detection.model_spec, detection.threshold
    if detection.threshold_run:
        method = detection.method if detection.method in CHOICE_REASONS else "verdicts"  # of earlier versions
        reason = Message(CHOICE_REASONS[method])
        return CardThreshold(value, method, _get_amount(spec), "rows", reason, None, share)
    if spec.risk is not None:
        return CardThreshold(
            value,
            "pot",
            spec.risk,
            "rows",
            Message(TAIL_REASON, {"share": to_rare_percent(spec.risk)}),
            spec.risk,
            share,
        )
    if spec.contamination is not None:
        reason = Message(SHARE_REASON, {"share": to_rare_percent(spec.contamination)})
        return CardThreshold(value, "contamination", spec.contamination, "rows", reason, None, share)
    reason = Message(ALARM_REASONS[spec.per or PER_1000_ROWS], {"amount": spec.alarms})
    return CardThreshold(
        value, detection.method, spec.alarms, spec.per or PER_1000_ROWS, reason, detection.target_rate, share
    )


def _get_amount(spec: DetectionSpec) -> float:
    """Return the number that the threshold was asked for with."""
    return next(amount for amount in (spec.risk, spec.contamination, spec.alarms) if amount is not None)
