"""Report of intervals, of one dataset or of a folder: events in words, promise and skill, the worst series."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from core.data.dataset import Dataset
from core.messages import N_, Message
from core.phrases import list_names, to_percent
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
from core.tasks.intervals import figures
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.spec import list_series_forecasters
from core.tasks.intervals.views import compute_reliability, compute_skill, has_times_of_day, list_peaks, select_series
from core.tasks.intervals.words import KIND_LABELS, describe_event, describe_promise, to_amount, to_relative

NO_EVENT = N_("No point of the judged period is outside its interval.")


def describe_report(result: Intervals | FolderIntervals, rows: Dataset | None) -> ReportContent:
    """Return the sections of the report; the result holds all that it needs, so the rows are not used."""
    if isinstance(result, FolderIntervals):
        return _describe_folder(result)
    events = tuple(_list_events(result))
    return ReportContent(
        summary=_summarise(len(result.events), len(result.judged_rows), events),
        key_figures=(*_list_counts(result, len(result.events), len(result.judged_rows)), *_list_skills(result)),
        events=EventList(Message(N_("Events, worst first")), events, len(result.events), Message(NO_EVENT)),
        figures=tuple(_list_figures(result)),
        certainty=describe_promise(result, len(result.judged_rows)) if len(result.judged_rows) else (),
        notes=(*_list_warnings(result), *result.notes),
        line_labels={name: cls.label for name, cls in list_series_forecasters().items()},
    )


def _describe_folder(result: FolderIntervals) -> ReportContent:
    events = tuple(
        ReportEvent(_name_event(event, has_measures=True), (_describe_peak(event),), str(event["severity"]))
        for event in result.events.head(MAX_EVENTS).to_dict("records")
    )
    skipped = Message(
        N_("Skipped files: {count} ({names})."),
        {"count": result.files_skipped, "names": list_names(file for file, _reason in result.skipped)},
    )
    location = Message(
        N_("All tables are in {folder}. Run the same command again to judge only what is missing there."),
        {"folder": result.spec.out},
    )
    return ReportContent(
        summary=_summarise(result.event_count, result.rows, events),
        key_figures=(
            KeyFigure(Message(N_("Series")), result.series),
            *_list_counts(result, result.event_count, result.rows),
        ),
        events=EventList(Message(N_("Events, worst first")), events, result.event_count, Message(NO_EVENT)),
        certainty=describe_promise(result, result.rows) if result.rows else (),
        notes=(*((skipped,) if result.files_skipped else ()), *result.notes, location),
    )


# ---- words ----------------------------------------------------------------------------------------------------------


def _summarise(count: int, judged: int, events: tuple[ReportEvent, ...]) -> tuple[Message, ...]:
    if not judged:
        return (Message(N_("No point was judged. The notes below say why.")),)
    if not events:
        return (Message(NO_EVENT),)
    worst = {"title": events[0].title, "words": events[0].sentences[0]}
    return (Message(N_("Events: {count}."), {"count": count}), Message(N_("The worst: {title}. {words}"), worst))


def _list_counts(result: Intervals | FolderIntervals, events: int, judged: int) -> tuple[KeyFigure, ...]:
    return (
        KeyFigure(Message(N_("Events")), events, Message(N_("of {judged} judged points"), {"judged": judged})),
        KeyFigure(
            Message(N_("Points outside")),
            to_percent(result.alarm_rate, 1),
            Message(N_("expected {rate}"), {"rate": to_percent(result.promised_rate, 1)}),
        ),
    )


def _list_skills(result: Intervals) -> Iterator[KeyFigure]:
    for measure in result.measures:
        skill = compute_skill(result, measure)
        if np.isfinite(skill):
            against = Message(N_("{measure}, against seasonal naive"), {"measure": measure})
            yield KeyFigure(Message(N_("Skill")), to_percent(skill, 1), against)


def _list_warnings(result: Intervals) -> Iterator[Message]:
    """Yield where the forecaster is worse than seasonal naive, and where more points are outside than promised."""
    for measure in result.measures:
        skill = compute_skill(result, measure)
        if skill < 0:
            values = {"measure": measure, "share": to_percent(-skill, 1)}
            yield Message(
                N_("{measure}: the forecast is worse than seasonal naive, its loss is {share} higher."), values
            )
    if result.alarm_rate > result.alarm_band[1]:
        yield Message(
            N_(
                "More points are outside than expected. Either the period has real faults, or the forecast is too "
                "confident."
            )
        )


def _list_events(result: Intervals) -> Iterator[ReportEvent]:
    has_measures = len(result.measures) > 1
    unit = "" if has_measures else result.data.unit
    for event in list_peaks(result).head(MAX_EVENTS).to_dict("records"):
        yield ReportEvent(_name_event(event, has_measures), describe_event(event, unit), str(event["severity"]))


def _name_event(event: Mapping[Hashable, Any], has_measures: bool) -> Message:
    values = {
        "place": name_event(event["entity"], event["start"], event["end"]),
        "measure": str(event["measure"]),
        "kind": Message(KIND_LABELS[event["kind"]]),
    }
    return Message("{place}, {measure}: {kind}" if has_measures else "{place}: {kind}", values)


def _describe_peak(event: Mapping[Hashable, Any]) -> Message:
    values = {"y": to_amount(event["y"]), "yhat": to_amount(event["yhat"]), "rel": to_relative(event["rel_distance"])}
    return Message(N_("At the peak: measured {y}, usual {yhat}, outside by {rel}."), values)


# ---- figures --------------------------------------------------------------------------------------------------------


def _list_figures(result: Intervals) -> Iterator[ReportFigure]:
    measure, unit = result.measures[0], result.data.unit if len(result.measures) == 1 else ""
    if result.judged_rows.empty:
        return
    entity = str(result.rows["entity"].iloc[0])
    if len(result.events):
        worst = result.events.iloc[0]
        entity, measure = str(worst["entity"]), str(worst["measure"])
        around = select_series(result, entity, measure, int(worst["event"]))
        yield ReportFigure(
            Message(N_("The worst event and the time around it: {entity}"), {"entity": name_entity(entity)}),
            lambda language: figures.draw_series(around, unit, True, False, language.translate),
        )
    series = select_series(result, entity, measure)
    yield ReportFigure(
        Message(N_("Measured values and their intervals: {entity}"), {"entity": name_entity(entity)}),
        lambda language: figures.draw_series(series, unit, True, False, language.translate),
    )
    grouping = "hour" if has_times_of_day(result) else "entity"
    table = compute_reliability(result, measure, grouping)
    yield ReportFigure(
        Message(N_("Share of points outside, beside the expected share")),
        lambda language: figures.draw_reliability(table, result.promised_rate, grouping, language.translate),
    )
