"""Report of the anomalies task: incidents in words, their number, and the values over time."""

from collections.abc import Iterator

from core.data.dataset import Dataset
from core.messages import N_, Message
from core.phrases import to_percent
from core.runs.card_data import NO_LABELS_NOTE
from core.runs.report_content import (
    MAX_EVENTS,
    EventList,
    KeyFigure,
    ReportContent,
    ReportEvent,
    ReportFigure,
    name_event,
)
from core.tasks.anomalies import figures
from core.tasks.anomalies.calendar_figure import draw_calendar_map
from core.tasks.anomalies.incident_words import describe_deviation
from core.tasks.anomalies.result import SEVERITIES, Detection
from core.tasks.anomalies.timeline import choose_focus, draw_timeline


def describe_report(detection: Detection, rows: Dataset | None) -> ReportContent:
    """Return the sections of the report; `rows` are the selected rows, None where they are not stored."""
    metrics = detection.metrics()
    events = tuple(list_incidents(detection))
    return ReportContent(
        summary=_summarise(detection, events),
        key_figures=(
            KeyFigure(Message(N_("Incidents")), int(metrics["incidents"])),
            KeyFigure(
                Message(N_("Rows flagged")),
                int(metrics["anomalies"]),
                Message(N_("of {rows} evaluated"), {"rows": int(metrics["rows"])}),
            ),
            KeyFigure(
                Message(N_("Share of rows flagged")), to_percent(metrics["flagged_share"]), _describe_target(detection)
            ),
            KeyFigure(
                Message(N_("Affected entities")),
                int(metrics["entities_with_anomalies"]),
                Message(N_("of {total}"), {"total": int(metrics["entities"])}),
            ),
        ),
        events=EventList(
            Message(N_("Incidents, worst first")),
            events,
            len(detection.incidents),
            Message(N_("Nothing stands out: no row has a score above the threshold.")),
        ),
        figures=tuple(_list_figures(detection, rows)),
        certainty=_describe_promise(detection),
        notes=(Message(NO_LABELS_NOTE), *detection.notes, *_describe_left_out(detection)),
    )


def list_incidents(detection: Detection, count: int = MAX_EVENTS) -> Iterator[ReportEvent]:
    """Yield the incidents with the highest scores in words, each told by its worst row."""
    for incident in detection.measured_incidents.head(count).to_dict("records"):
        title = name_event(incident["entity"], incident["start"], incident["end"])
        sentence = describe_deviation(incident, detection.data.unit)
        yield ReportEvent(title, (sentence,), SEVERITIES[int(incident["severity"])])


def _summarise(detection: Detection, events: tuple[ReportEvent, ...]) -> tuple[Message, ...]:
    metrics = detection.metrics()
    if not events:
        return (Message(N_("Nothing stands out: no row has a score above the threshold.")),)
    counts = {
        "incidents": int(metrics["incidents"]),
        "entities": int(metrics["entities_with_anomalies"]),
        "share": to_percent(metrics["flagged_share"]),
    }
    return (
        Message(N_("Incidents: {incidents}, in {entities} entities. {share} of the rows are flagged."), counts),
        Message(N_("The worst: {title}. {words}"), {"title": events[0].title, "words": events[0].sentences[0]}),
    )


def _describe_target(detection: Detection) -> Message | None:
    if detection.target_rate is None:
        return None
    return Message(N_("expected: at most {rate}"), {"rate": to_percent(detection.target_rate, 3)})


def _describe_promise(detection: Detection) -> tuple[Message, ...]:
    measured = Message(N_("Measured on all evaluated rows, including true alarms, because the data have no labels."))
    if detection.promise_kept is not False:
        return (measured,)
    broken = N_(
        "The target false-alarm rate is exceeded: more rows are flagged. They are abnormal, or the data have changed."
    )
    return (measured, Message(broken))


def _describe_left_out(detection: Detection) -> tuple[Message, ...]:
    if not detection.rows_left_out:
        return ()
    return (Message(N_("Incomplete rows that were left out: {count}."), {"count": detection.rows_left_out}),)


def _list_figures(detection: Detection, rows: Dataset | None) -> Iterator[ReportFigure]:
    if rows is not None:
        yield ReportFigure(
            Message(N_("Values over time, incidents marked")),
            lambda language: draw_timeline(
                rows, detection, language.translate, language.render, choose_focus(detection, rows.entities)
            ),
        )
    if detection.anomalies.empty:
        return
    cells = detection.select_cells(0)
    if len(cells) > 1:
        yield ReportFigure(
            Message(N_("The worst row and its usual values")),
            lambda language: figures.draw_row_profile(cells, detection.data.unit, language.translate),
        )
    if rows is not None and rows.has_dates:
        yield ReportFigure(
            Message(N_("Anomalies per day of each year")),
            lambda language: draw_calendar_map(
                detection, language.translate, language.list_weekdays(), language.list_months()
            ),
        )
    if detection.rows["entity"].nunique() > 1:
        yield ReportFigure(
            Message(N_("Anomalies of each entity")),
            lambda language: figures.draw_counts_per_entity(detection, language.translate),
        )
