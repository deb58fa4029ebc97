"""Report of a forecast: errors beside naive forecasts, alarms in words, the days ahead, the backtest."""

from collections.abc import Iterator
from dataclasses import replace

from core.data.dataset import Dataset
from core.messages import N_, Message
from core.phrases import to_moment, to_percent
from core.runs.report_content import (
    MAX_EVENTS,
    EventList,
    KeyFigure,
    ReportContent,
    ReportEvent,
    ReportFigure,
    name_entity,
)
from core.tasks.forecast import error_figures, figures
from core.tasks.forecast.alarm_words import Alarm, describe_alarm
from core.tasks.forecast.history import select_history
from core.tasks.forecast.period_words import get_period_words
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.spec import list_forecasters
from core.tasks.forecast.total import list_summable_entities, sum_entities


def describe_report(forecast: Forecast, rows: Dataset | None) -> ReportContent:
    """Return the sections of the report; `rows` are the selected rows, None where they are not stored."""
    words = get_period_words(forecast.frequency)
    classes = list_forecasters()
    return ReportContent(
        summary=_summarise(forecast),
        key_figures=tuple(_list_key_figures(forecast)),
        events=_list_alarms(forecast),
        figures=tuple(_list_figures(forecast, rows)),
        certainty=_describe_alarm_rate(forecast),
        notes=forecast.notes,
        line_labels={
            **{name: cls.label for name, cls in classes.items()},
            "naive1": words.last_known,
            "naive7": words.season_before,
        },
    )


# ---- words ----------------------------------------------------------------------------------------------------------


def _summarise(forecast: Forecast) -> tuple[Message, ...]:
    ahead = forecast.rows[forecast.rows["forecast"].notna()]
    sentences = []
    if len(ahead):
        values = {
            "first": to_moment(ahead["time"].min()),
            "last": to_moment(ahead["time"].max()),
            "entities": int(ahead["entity"].nunique()),
        }
        sentences.append(Message(N_("Forecast from {first} to {last}, entities: {entities}."), values))
    scores = forecast.get_step_scores()
    if len(scores):
        first = scores.iloc[0]
        errors = {
            "error": to_percent(first["wape"]),
            "naive": to_percent(min(first["wape_naive1"], first["wape_naive7"])),
        }
        template = N_(
            "One step ahead, the error of the backtest is {error} of the amounts; the better naive forecast: {naive}."
        )
        sentences.append(Message(template, errors))
    if len(forecast.alarms):
        worst = describe_alarm(forecast.alarms.iloc[0].to_dict(), forecast)
        sentences.append(
            Message(N_("Alarms: {count}. The worst: {words}."), {"count": len(forecast.alarms), "words": worst})
        )
    return tuple(sentences)


def _list_key_figures(forecast: Forecast) -> Iterator[KeyFigure]:
    scores, words = forecast.get_step_scores().set_index("step"), get_period_words(forecast.frequency)
    for step in sorted({1, forecast.model_spec.horizon_periods} & set(scores.index)):
        line = scores.loc[step]
        naive = min(line["wape_naive1"], line["wape_naive7"])
        yield KeyFigure(
            Message(words.metric, {"step": int(step)}),
            _to_cell(line["wape"]),
            Message(N_("naive {error}"), {"error": to_percent(naive)}),
        )
    overall = forecast.scores[(forecast.scores["entity"] == "") & (forecast.scores["step"] == 0)]
    quantiles = forecast.model_spec.quantiles
    if len(overall):
        yield KeyFigure(
            Message(N_("Coverage")),
            _to_cell(float(overall["coverage"].iloc[0])),
            Message(N_("nominal {level}"), {"level": to_percent(quantiles[-1] - quantiles[0])}),
        )
    if forecast.alarm_counts.judged:
        yield KeyFigure(
            Message(N_("Alarms")),
            len(forecast.alarms),
            Message(N_("of {judged} judged values"), {"judged": forecast.alarm_counts.judged}),
        )
    yield KeyFigure(Message(N_("Entities")), int(forecast.rows["entity"].nunique()))


def _to_cell(share: float) -> Message | str:
    return to_percent(float(share))


def _list_alarms(forecast: Forecast) -> EventList:
    if forecast.alarm_counts.judged:
        empty = Message(N_("Nothing left its interval."))
    else:
        empty = Message(N_("No measured value was judged by its forecast, so there are no alarms."))
    events = tuple(_describe_event(alarm, forecast) for alarm in forecast.alarms.head(MAX_EVENTS).to_dict("records"))
    return EventList(Message(N_("Alarms, worst first")), events, len(forecast.alarms), empty)


def _describe_event(alarm: Alarm, forecast: Forecast) -> ReportEvent:
    sentences = [
        describe_alarm(alarm, forecast),
        Message(
            N_("Values outside: {outside} of {steps}."),
            {"outside": int(alarm["outside"]), "steps": int(alarm["steps"])},
        ),
    ]
    if alarm["kind"] == "lasting":
        text = N_("The mean of the period is outside the forecast made before it, even without its worst day.")
        sentences.append(Message(text))
    if alarm["is_open"]:
        sentences.append(Message(N_("It is still going on at the end of the data.")))
    return ReportEvent(None, tuple(sentences), str(alarm["severity"]))


def _describe_alarm_rate(forecast: Forecast) -> tuple[Message, ...]:
    counts, level = forecast.alarm_counts, forecast.alarm_level
    if not counts.judged:
        return ()
    low, high = counts.compute_chance_band(level)
    return (
        Message(
            N_(
                "Alarms: {outside} of {judged} judged periods are outside their interval ({rate}; expected {promised}, "
                "by chance {low} to {high})."
            ),
            {
                "outside": counts.outside,
                "judged": counts.judged,
                "rate": to_percent(counts.rate),
                "promised": to_percent(1 - level),
                "low": to_percent(low),
                "high": to_percent(high),
            },
        ),
    )


# ---- figures --------------------------------------------------------------------------------------------------------


def _list_figures(forecast: Forecast, rows: Dataset | None) -> Iterator[ReportFigure]:
    yield from _draw_ahead(forecast, rows)
    if len(forecast.alarms):
        alarm = forecast.alarms.iloc[0]
        entity, span = str(alarm["entity"]), (alarm["start"], alarm["end"])
        yield ReportFigure(
            Message(N_("The worst alarm, with forecast and interval: {entity}"), {"entity": name_entity(entity)}),
            lambda language: figures.draw_judged(forecast, entity, span, language.translate),
        )
    scores = forecast.get_step_scores()
    if len(scores) > 1:
        words = get_period_words(forecast.frequency)
        yield ReportFigure(
            Message(N_("Error by time ahead, beside two naive forecasts")),
            lambda language: error_figures.draw_step_errors(scores, language.translate, words),
        )
    yield from _draw_backtest(forecast)
    if not forecast.importance.empty:
        yield ReportFigure(
            Message(N_("Importance of groups of features")),
            lambda language: figures.draw_importance(forecast.importance, language.translate),
        )


def _draw_ahead(forecast: Forecast, rows: Dataset | None) -> Iterator[ReportFigure]:
    part, entities = _choose_part(forecast)
    ahead = part.rows[part.rows["forecast"].notna()]
    if ahead.empty:
        return
    history = select_history(part, rows, entities)
    yield ReportFigure(
        Message(N_("Measured amounts and the forecast with its interval: {entity}"), {"entity": _name_part(entities)}),
        lambda language: figures.draw_forecast(ahead, history, forecast, language.translate),
    )


def _draw_backtest(forecast: Forecast) -> Iterator[ReportFigure]:
    part, entities = _choose_part(forecast)
    checked = part.checked[part.checked["step"] == part.checked["step"].min()]
    if checked.empty:
        return
    yield ReportFigure(
        Message(N_("Backtest, one step ahead: {entity}"), {"entity": _name_part(entities)}),
        lambda language: figures.draw_backtest(checked, forecast, language.translate),
    )


def _choose_part(forecast: Forecast) -> tuple[Forecast, list[str]]:
    """Return the part that the figures show and its entities: the sum of all, or the only one."""
    entities = list_summable_entities(forecast)
    if len(entities) > 1:
        return sum_entities(forecast), entities
    rows, checked = (table[table["entity"].isin(entities)] for table in (forecast.rows, forecast.checked))
    return replace(forecast, rows=rows, checked=checked), entities


def _name_part(entities: list[str]) -> Message:
    if len(entities) == 1:
        return name_entity(entities[0])
    return Message(N_("sum of {count} entities"), {"count": len(entities)})
