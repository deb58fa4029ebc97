"""Result of a sequence detection: target and measured alarm rate, scores over time, events, downloads."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.data.dataset import Dataset
from core.runs.renderings import Drawing
from core.tasks.sequences import figures, scores_files, share_figures, words
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.spec import PER_1000_ROWS, PERIOD_LABELS
from pages.components import feedback_form
from pages.components.i18n import _, format_value, get_date_format, translate_message
from pages.components.ranked_list import FILTER_WIDTH_PX, choose_entry
from pages.components.results import live_threshold, model, score_card, sequence_event
from pages.components.results.run_widgets import show_chart, show_cost, show_downloads, show_record
from pages.components.results.sequence_event import format_amount, format_severity
from pages.components.term_help import explain
from pages.components.timeline import Timeline, open_timeline

MAX_SHOWN_EVENTS = 2000
MAX_DEFAULT_COLUMNS = 4


def show_detection(detection: SequenceDetection, dataset: Dataset | None, run: str) -> None:
    """Show the result; `dataset` has the selected rows for the charts, None if they are not loaded."""
    _show_metrics(detection, run)
    if detection.exceeds_target_rate:
        st.warning(translate_message(words.describe_excess(detection)), icon=":material/trending_up:")
    timeline = open_timeline(dataset)
    _show_events(detection, run, timeline)
    st.header(_("All rows"))
    views: dict[str, Callable[[], None]] = {_("Over time"): lambda: _show_scores(detection, dataset, timeline, run)}
    if not detection.card.empty:
        views[_("Score card")] = lambda: score_card.show(detection)
    if not detection.curves.empty:
        views[_("Training")] = lambda: _show_training(detection, run)
    views[_("Model")] = lambda: model.show(run, "sequences")
    tabs = st.tabs(list(views), key="sequence-view", on_change="rerun")
    for tab, show_view in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                show_view()
    st.header(_("Threshold"))
    st.caption("\n".join(f"- {sentence}" for sentence in _describe_threshold(detection)))
    live_threshold.show(run)
    show_downloads(detection.to_frame, "sequences", _("All scores ({kind})"))
    st.download_button(
        _("Scores in the format of the SGmVRNN programs"),
        lambda: scores_files.pack_scores_files(detection),
        "scores.txt" if detection.rows["entity"].nunique() == 1 else "scores.zip",
        key="sequences-likelihoods",
        icon=":material/download:",
        on_click="ignore",
        help=_(
            "One line timestamp,log-likelihood,Normaly or Anomaly per window, for its last row, and one file per "
            "entity. The log-likelihood is the negative score. Anomaly means above the threshold."
        ),
    )
    show_record(run)


# ---- figures --------------------------------------------------------------------------------------------------------


def _show_metrics(detection: SequenceDetection, run: str) -> None:
    metrics = detection.metrics()
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Events"), format_value(int(metrics["events"])), border=True)
        st.metric(
            _("Rows flagged"),
            format_value(int(metrics["anomalies"])),
            border=True,
            delta_color="off",
            delta_arrow="off",
            delta=_("of {rows} evaluated").format(rows=format_value(int(metrics["rows_scored"]))),
            help=explain("threshold"),
        )
        _show_alarm_rate(detection)
        show_cost(run)


def _show_alarm_rate(detection: SequenceDetection) -> None:
    """Show the measured rate and the target rate: of false alarms with labels, of all alarms without."""
    label = _("False alarms {per}") if detection.is_labelled else _("Alarms {per}")
    st.metric(
        label.format(per=_translate_period(detection.per)),
        _format_rate(detection.count_alarms(detection.measured_rate)),
        border=True,
        delta_color="off",
        delta_arrow="off",
        delta=_("target {rate}").format(rate=_format_rate(detection.count_alarms(detection.target_rate)))
        if detection.target_rate is not None
        else _("no target"),
        help=explain(
            "false-alarm-rate",
            _(
                "Measured on the normal rows among the evaluated rows. Labelled rows are excluded, "
                "and so is every event that contains a labelled row, because it counts as a true "
                "alarm."
            )
            if detection.is_labelled
            else _("Measured on all evaluated rows, including true alarms, because the data have no labels."),
        ),
    )


def _translate_period(period: str) -> str:
    return _(PERIOD_LABELS[period])


def _format_rate(rate: float) -> str:
    return format_value(words.round_rate(rate))


def _describe_threshold(detection: SequenceDetection) -> list[str]:
    """Return the threshold, its source, and the mode of scoring, in sentences."""
    sentences = [
        _("Rows with a score above {threshold} are flagged.").format(
            threshold=format_value(float(f"{detection.threshold:.4g}"))
        )
    ]
    sentences += [translate_message(note) for note in detection.notes]
    if detection.target_rate is not None and detection.per != PER_1000_ROWS:
        sentences.append(
            _("Over all entities together, the target is one normal row in {count}.").format(
                count=format_value(round(1 / max(detection.target_rate, 1e-12)))
            )
        )
    train_count = int((detection.rows["fitted"]).sum())
    if train_count:
        sentences.append(
            _(
                "The first row is used for training and is not evaluated.",
                "The first {rows} rows are used for training and are not evaluated.",
                train_count,
            ).format(rows=format_value(train_count))
        )
    if "rows_per_second" in detection.measurements:
        sentences.append(
            _("Scoring: {mode}, {rows} rows per second.").format(
                mode=_(detection.mode), rows=format_value(round(detection.measurements["rows_per_second"]))
            )
        )
    if detection.promise_kept:
        sentences.append(translate_message(words.describe_kept_promise(detection)))
    return sentences


# ---- over time ------------------------------------------------------------------------------------------------------


def _show_scores(detection: SequenceDetection, dataset: Dataset | None, timeline: Timeline, run: str) -> None:
    entity = _ask_entity(detection)
    show = partial(_show_over_time, detection, timeline, entity)
    span = timeline.span if detection.is_dated else None
    show(
        Drawing(run, figures.draw_timeline, (detection, entity, _, span)),
        "sequence-timeline",
        _("Score over time with its threshold; events shaded"),
    )
    if not detection.categories.empty:
        st.caption(_("Membership of the rows in each mode of the detector."))
        show(
            Drawing(run, share_figures.draw_modes, (detection, entity, _)),
            "sequence-modes",
            _("Membership in each mode over time"),
        )
    if len(detection.data.columns) > 1:
        st.caption(_("Contribution of the columns to the score: the largest share in each time interval."))
        show(
            Drawing(run, share_figures.draw_shares, (detection, entity, _)),
            "sequence-shares",
            _("Share of every column in the score over time"),
        )
    if dataset is not None:
        _show_values(detection, timeline.select_rows(dataset.filter_rows([entity])), entity, show, run)


def _show_over_time(
    detection: SequenceDetection, timeline: Timeline, entity: str, figure: go.Figure | Drawing, key: str, alt: str
) -> None:
    """Show a figure of one entity; rows without dates have neither period nor known events."""
    if detection.is_dated:
        timeline.show_chart(figure, key, alt, entity)
    else:
        show_chart(figure, key, alt)


def _ask_entity(detection: SequenceDetection) -> str:
    """Return the selected entity; by default the one with the highest peak."""
    entities = [
        str(entity) for entity in detection.rows["entity"].cat.categories if (detection.rows["entity"] == entity).any()
    ]
    if len(entities) == 1:
        return entities[0]
    worst = str(detection.events["entity"].iloc[0]) if len(detection.events) else entities[0]
    return st.selectbox(_("Entity"), entities, entities.index(worst), key="sequence-entity")


def _show_values(
    detection: SequenceDetection, dataset: Dataset, entity: str, show: Callable[[go.Figure, str, str], None], run: str
) -> None:
    columns = list(detection.data.columns)
    chosen_columns = st.multiselect(
        _("Columns shown"),
        columns,
        detection.rank_columns(entity)[:MAX_DEFAULT_COLUMNS],
        key="sequence-values",
        max_selections=12,
    )
    if chosen_columns:
        show(
            Drawing(run, figures.draw_values, (dataset, detection, entity, chosen_columns, _)),
            "sequence-values-figure",
            _("Values of the chosen columns, events shaded"),
        )


def _show_training(detection: SequenceDetection, run: str) -> None:
    show_chart(
        Drawing(run, figures.draw_training_curves, (detection, _)), "sequence-training", _("Training losses by step")
    )


# ---- events ---------------------------------------------------------------------------------------------------------


def _show_events(detection: SequenceDetection, run: str, timeline: Timeline) -> None:
    st.header(
        _("Events, worst first"),
        help=_("An event ends when the scores have returned half-way to their usual level for more than three rows."),
    )
    if detection.events.empty:
        st.info(_("No row has a score above the threshold."))
        return
    events = timeline.filter_rows(_filter_events(detection))
    visible = events.head(MAX_SHOWN_EVENTS)
    if len(visible):
        number = _choose_event(detection, visible, run)
        sequence_event.show(detection, number, run)
        event = detection.events.loc[number]
        feedback_form.ask_verdict(
            "sequences",
            run,
            {"entity": event["entity"], "time": event["start"], "end": event["end"], "score": event["peak"]},
        )


def _choose_event(detection: SequenceDetection, events: pd.DataFrame, run: str) -> int:
    """Show the list; return the chosen event, the first unless another was chosen."""
    verdicts = feedback_form.list_verdicts(run, events.rename(columns={"start": "time"}))
    table = _build_table(detection, events, verdicts)
    number = choose_entry(
        table,
        _build_column_config(detection),
        lambda number: sequence_event.build_card(table.loc[number]),
        address="event",
        label=_("Events"),
        details=["unflagged", "rows", "peak", "odds", "number", *(["verdict"] if not any(verdicts) else [])],
    )
    return number - 1


def _filter_events(detection: SequenceDetection) -> pd.DataFrame:
    events = detection.events
    names = sorted(events["entity"].astype(str).unique())
    chosen_entities: list[str] = []
    with st.container(horizontal=True, vertical_alignment="bottom", key="event-filters"):
        if len(names) > 1:
            chosen_entities = st.multiselect(
                _("Entities"), names, placeholder=_("All"), key="event-entities", width=FILTER_WIDTH_PX
            )
        levels = st.pills(
            _("Severity"),
            [3, 2, 1, 0],
            selection_mode="multi",
            format_func=format_severity,
            key="event-severity",
            help=_(
                "Distance of the peak from the usual score, relative to the distance of the "
                "threshold: extreme 6 times, rare 3 times, notable 1.5 times."
            ),
        )
    mask = events["entity"].isin(chosen_entities) if chosen_entities else pd.Series(True, events.index)
    return events[mask & events["severity"].isin(levels)] if levels else events[mask]


def _build_table(detection: SequenceDetection, events: pd.DataFrame, verdicts: list[str]) -> pd.DataFrame:
    """Return the displayed columns under the numbers of the events, from 1 on; scores and numbers last."""
    table = pd.DataFrame(
        {
            "severity": [format_severity(level) for level in events["severity"]],
            "entity": events["entity"].astype(str),
            "start": events["start"],
            "measured": [format_amount(amount) for amount in events["measured"]],
            "usual": [sequence_event.format_usual(event) for _number, event in events.iterrows()],
            "causes": [sequence_event.format_causes(event) for _number, event in events.iterrows()],
            "duration": [sequence_event.format_duration(detection, event) for _number, event in events.iterrows()],
            "verdict": verdicts,
            "unflagged": events["unflagged"],
            "rows": events["rows"],
            "peak": events["peak"].round(3),
            "odds": [sequence_event.format_odds(odds) for odds in events["odds"]],
            "number": events.index + 1,
        }
    ).set_axis(events.index + 1)
    return table.assign(known=events["known"].to_numpy()) if "known" in events else table


def _build_column_config(detection: SequenceDetection) -> dict[str, ColumnConfig]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    time_format = get_date_format() + ("" if detection.data.profile else " HH:mm")

    def build_time_column(label: str) -> ColumnConfig:
        if not detection.is_dated:
            return number(label, width=70)
        return st.column_config.DatetimeColumn(label, format=time_format, width=88 if detection.data.profile else 128)

    unit = f" ({detection.data.unit})" if detection.data.unit else ""
    return {
        "severity": text(_("Severity"), width=80),
        "entity": text(_("Entity"), width=84),
        "start": build_time_column(_("Start")),
        "duration": text(_("Duration"), width=78),
        "causes": text(
            _("Causes"),
            width=182,
            help=_(
                "Columns that moved most, with their part of the squared distance to the moving mean. A "
                "lasting change is an event whose scores stay high for longer than in an anomaly."
            ),
        ),
        "measured": text(
            _("Measured") + unit, width=88, help=_("Most unusual value of the first column in the event.")
        ),
        "usual": text(
            _("Usual") + unit,
            width=124,
            help=_(
                "The middle 90 % of the values of the first column around the event. If the event stays "
                "inside, the range is what the detector expects."
            ),
        ),
        "verdict": feedback_form.build_verdict_column(),
        "unflagged": text(
            _("Not flagged with"), help=_("Ranges with which no row of the event is above the threshold.")
        ),
        "rows": number(_("Rows flagged"), width="small"),
        "peak": number(_("Peak"), format="localized", width="small"),
        "odds": text(
            _("Rarity"),
            help=_(
                "Share of the held-out rows with a score at least as high. Its smallest value "
                "is one in the number of held-out rows."
            ),
        ),
        "number": number(_("Number"), width="small"),
        "known": st.column_config.CheckboxColumn(
            _("Labelled"), width=74, help=_("At least one row of the event is labelled abnormal.")
        ),
    }
