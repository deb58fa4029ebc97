"""Report of the sequences task: events in words, alarm rate beside its target, scores over time."""

from collections.abc import Iterator

from core.data.dataset import Dataset
from core.messages import N_, Message
from core.runs.card_data import NO_LABELS_NOTE
from core.runs.report_content import (
    MAX_EVENTS,
    EventList,
    KeyFigure,
    ReportContent,
    ReportEvent,
    ReportFigure,
    name_entity,
    name_event,
)
from core.tasks.anomalies.result import SEVERITIES
from core.tasks.comparison.labels import label_line
from core.tasks.sequences import figures, share_figures, words
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.spec import PERIOD_LABELS

MAX_FIGURE_COLUMNS = 4


def describe_report(detection: SequenceDetection, rows: Dataset | None) -> ReportContent:
    """Return the sections of the report; `rows` are the selected rows, None where they are not stored."""
    events = tuple(list_events(detection))
    return ReportContent(
        summary=_summarise(detection, events),
        key_figures=_list_key_figures(detection),
        events=EventList(
            Message(N_("Events, worst first")),
            events,
            len(detection.events),
            Message(N_("No row has a score above the threshold.")),
        ),
        figures=tuple(_list_figures(detection, rows)),
        certainty=_describe_promise(detection),
        notes=(*(() if len(detection.card) else (Message(NO_LABELS_NOTE),)), *detection.notes),
        line_labels={str(line): label_line(str(line)) for line in detection.card.get("line", ())},
    )


def list_events(detection: SequenceDetection, count: int = MAX_EVENTS) -> Iterator[ReportEvent]:
    """Yield the events with the highest peaks in words."""
    for number, event in detection.events.head(count).iterrows():
        yield ReportEvent(
            name_event(event["entity"], event["start"], event["end"]),
            words.describe_event(detection, int(str(number))),
            SEVERITIES[int(event["severity"])],
        )


def _summarise(detection: SequenceDetection, events: tuple[ReportEvent, ...]) -> tuple[Message, ...]:
    if not events:
        return (Message(N_("No row has a score above the threshold.")),)
    metrics = detection.metrics()
    return (
        Message(
            N_("Events: {events}, in {entities} entities."),
            {"events": int(metrics["events"]), "entities": int(metrics["entities_with_events"])},
        ),
        Message(N_("The worst: {title}. {words}"), {"title": events[0].title, "words": events[0].sentences[0]}),
    )


def _list_key_figures(detection: SequenceDetection) -> tuple[KeyFigure, ...]:
    metrics, per = detection.metrics(), Message(PERIOD_LABELS[detection.per])
    rate = words.round_rate(detection.count_alarms(detection.measured_rate))
    target = Message(N_("no target"))
    if detection.target_rate is not None:
        rate_allowed = words.round_rate(detection.count_alarms(detection.target_rate))
        target = Message(N_("target {rate}"), {"rate": rate_allowed})
    return (
        KeyFigure(Message(N_("Events")), int(metrics["events"])),
        KeyFigure(
            Message(N_("Rows flagged")),
            int(metrics["anomalies"]),
            Message(N_("of {rows} evaluated"), {"rows": int(metrics["rows_scored"])}),
        ),
        KeyFigure(
            Message(N_("False alarms {per}") if detection.is_labelled else N_("Alarms {per}"), {"per": per}),
            rate,
            target,
        ),
        KeyFigure(
            Message(N_("Affected entities")),
            int(metrics["entities_with_events"]),
            Message(N_("of {total}"), {"total": int(metrics["entities"])}),
        ),
    )


def _describe_promise(detection: SequenceDetection) -> tuple[Message, ...]:
    measured_on = (
        N_(
            "Measured on the normal rows among the evaluated rows. Labelled rows are excluded, "
            "and so is every event that contains a labelled row, because it counts as a true "
            "alarm."
        )
        if detection.is_labelled
        else N_("Measured on all evaluated rows, including true alarms, because the data have no labels.")
    )
    if detection.promise_kept:
        return (words.describe_kept_promise(detection), Message(measured_on))
    if detection.exceeds_target_rate:
        return (words.describe_excess(detection), Message(measured_on))
    return (Message(measured_on),)


def _list_figures(detection: SequenceDetection, rows: Dataset | None) -> Iterator[ReportFigure]:
    if detection.rows.empty:
        return
    has_events = len(detection.events) > 0
    entity = str(detection.events["entity"].iloc[0] if has_events else detection.rows["entity"].iloc[0])
    place = {"entity": name_entity(entity)}
    yield ReportFigure(
        Message(N_("Score over time with its threshold; events shaded: {entity}"), place),
        lambda language: figures.draw_timeline(detection, entity, language.translate),
    )
    if has_events and (detection.cells["event"] == detection.events.index[0]).any():
        yield ReportFigure(
            Message(N_("The worst event: the columns that explain it, with their usual ranges")),
            lambda language: figures.draw_event(detection, int(detection.events.index[0]), language.translate),
        )
    if rows is not None:
        columns = detection.rank_columns(entity)[:MAX_FIGURE_COLUMNS]
        yield ReportFigure(
            Message(N_("Values of the columns that moved most, events shaded: {entity}"), place),
            lambda language: figures.draw_values(rows, detection, entity, columns, language.translate),
        )
    if len(detection.data.columns) > 1:
        yield ReportFigure(
            Message(N_("Share of every column in the score over time: {entity}"), place),
            lambda language: share_figures.draw_shares(detection, entity, language.translate),
        )
