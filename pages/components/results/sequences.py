"""Result of a sequence detection: target and measured alarm rate, scores over time, events, downloads."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.data.dataset import Dataset
from core.tasks.sequences import figures, share_figures
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.spec import PERIODS, THOUSAND
from pages.components import feedback_form
from pages.components.i18n import _, date_format, say, shown
from pages.components.results import model, score_card, sequence_event
from pages.components.results.run_widgets import chart, cost, downloads, record
from pages.components.results.sequence_event import severity

SHOWN_EVENTS = 2000
FIRST_COLUMNS = 4


def show_detection(detection: SequenceDetection, dataset: Dataset | None, run: str) -> None:
    """Show the result; `dataset` has the selected rows for the charts, None if they are not loaded."""
    _figures(detection, run)
    st.caption(_sentence(detection))
    if detection.exceeds_promise:
        st.warning(_drifted(detection), icon=":material/trending_up:")
    record(run)
    views: dict[str, Callable[[], None]] = {_("Over time"): lambda: _over_time(detection, dataset)}
    if not detection.card.empty:
        views[_("Score card")] = lambda: score_card.show(detection)
    if not detection.curves.empty:
        views[_("Training")] = lambda: _training(detection)
    views[_("Model")] = lambda: model.show(run, "sequences")
    tabs = st.tabs(list(views), key="sequence-view", on_change="rerun")
    for tab, draw in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                draw()
    _events(detection, run)
    downloads(detection.to_frame, "sequences", _("All scores ({kind})"))
    st.download_button(
        _("Scores as SGmVRNN's programs read them"),
        lambda: _likelihoods(detection),
        "scores.txt",
        key="sequences-likelihoods",
        icon=":material/download:",
        on_click="ignore",
        help=_(
            "A line timestamp,log-likelihood,Normaly or Anomaly per judged row; the log-likelihood is the "
            "negative score."
        ),
    )


# ---- figures --------------------------------------------------------------------------------------------------------


def _figures(detection: SequenceDetection, run: str) -> None:
    metrics = detection.metrics()
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Events"), shown(int(metrics["events"])), border=True)
        st.metric(
            _("Rows flagged"),
            shown(int(metrics["anomalies"])),
            border=True,
            delta_color="off",
            delta_arrow="off",
            delta=_("of {rows} judged").format(rows=shown(int(metrics["rows_judged"]))),
        )
        _promise(detection)
        cost(run)


def _promise(detection: SequenceDetection) -> None:
    """Show the measured rate and the target rate: of false alarms with labels, of all alarms without."""
    measured = _("False alarms {per}") if detection.is_labelled else _("Alarms {per}")
    st.metric(
        measured.format(per=_per(detection.per)),
        _rate(detection.count_alarms(detection.measured_rate)),
        border=True,
        delta_color="off",
        delta_arrow="off",
        delta=_("promised {rate}").format(rate=_rate(detection.count_alarms(detection.promise)))
        if detection.promise is not None
        else _("nothing promised"),
        help=_(
            "Measured on the judged rows that are normal: neither labelled nor of an event with a labelled "
            "row, which is a true alarm to its end."
        )
        if detection.is_labelled
        else _("Measured on all judged rows, true alarms among them: there are no labels to tell them apart."),
    )


def _drifted(detection: SequenceDetection) -> str:
    """Return a warning that the measured alarm rate exceeds the target."""
    rates = {
        "low": _rate(detection.count_alarms(detection.figures["measured_low"])),
        "high": _rate(detection.count_alarms(detection.figures["measured_high"])),
        "promised": _rate(detection.count_alarms(detection.promise or 0.0)),
        "per": _per(detection.per),
    }
    if detection.is_labelled:
        return _(
            "The promise does not hold here: {low} to {high} false alarms {per} instead of {promised}. The "
            "rows judged differ from those the threshold was made from: learn from more rows, or from later "
            "ones."
        ).format(**rates)
    return _(
        "More rows are flagged than false alarms alone would explain: {low} to {high} {per}, {promised} "
        "promised. Either there are true anomalies, or the rows judged differ from those learnt from."
    ).format(**rates)


def _per(period: str) -> str:
    return _(PERIODS[period])


def _rate(rate: float) -> str:
    return "–" if rate != rate else shown(float(f"{rate:.3g}"))


def _sentence(detection: SequenceDetection) -> str:
    """Return the threshold, its source, and the mode of scoring."""
    parts = [
        _("Rows scoring above {threshold} are flagged.").format(threshold=shown(float(f"{detection.threshold:.4g}")))
    ]
    parts += [say(note) for note in detection.notes]
    if detection.promise is not None and detection.per != THOUSAND:
        parts.append(
            _("Over all entities together, that is one normal row in {count}.").format(
                count=shown(round(1 / max(detection.promise, 1e-12)))
            )
        )
    fitted = int((detection.rows["fitted"]).sum())
    if fitted:
        parts.append(_("Learnt from the first {rows} rows, which are not judged.").format(rows=shown(fitted)))
    if "rows_per_second" in detection.figures:
        parts.append(
            _("How it scores: {mode}; {rows} rows a second.").format(
                mode=_(detection.mode), rows=shown(round(detection.figures["rows_per_second"]))
            )
        )
    return " ".join(parts)


# ---- over time ------------------------------------------------------------------------------------------------------


def _over_time(detection: SequenceDetection, dataset: Dataset | None) -> None:
    entity = _entity(detection)
    chart(
        figures.timeline(detection, entity, _),
        "sequence-timeline",
        _("Score over time with its threshold; events shaded"),
        dated=detection.is_dated,
    )
    if not detection.categories.empty:
        st.caption(_("How much the rows belong to each mode the detector knows."))
        chart(
            share_figures.modes(detection, entity, _),
            "sequence-modes",
            _("Belonging to each mode over time"),
            dated=detection.is_dated,
        )
    if len(detection.data.columns) > 1:
        st.caption(_("Which columns bring the score: the greatest share within each stretch of time."))
        chart(
            share_figures.shares(detection, entity, _),
            "sequence-shares",
            _("Share of every column in the score over time"),
            dated=detection.is_dated,
        )
    if dataset is not None:
        _values(detection, dataset, entity)


def _entity(detection: SequenceDetection) -> str:
    """Return the selected entity; by default the one with the highest peak."""
    entities = [
        str(each) for each in detection.rows["entity"].cat.categories if (detection.rows["entity"] == each).any()
    ]
    if len(entities) == 1:
        return entities[0]
    worst = str(detection.events["entity"].iloc[0]) if len(detection.events) else entities[0]
    return st.selectbox(_("Entity"), entities, entities.index(worst), key="sequence-entity")


def _values(detection: SequenceDetection, dataset: Dataset, entity: str) -> None:
    columns = list(detection.data.columns)
    chosen = st.multiselect(
        _("Values of"), columns, _first(detection, entity), key="sequence-values", max_selections=12
    )
    if chosen:
        chart(
            figures.values(dataset, detection, entity, chosen, _),
            "sequence-values-figure",
            _("Values of the chosen columns, events shaded"),
            dated=detection.is_dated,
        )


def _first(detection: SequenceDetection, entity: str) -> list[str]:
    """Return the columns with the largest shares in the entity's events, else the first columns."""
    own = detection.cells[detection.cells["event"].isin(detection.events_of(entity).index)]
    if own.empty:
        return list(detection.data.columns[:FIRST_COLUMNS])
    inside = own[own["inside"].astype(bool)]
    ranked = inside.groupby("column", observed=True)["share"].sum().sort_values(ascending=False)
    return [str(column) for column in ranked.index[:FIRST_COLUMNS]]


def _training(detection: SequenceDetection) -> None:
    chart(figures.training(detection, _), "sequence-training", _("Losses over the steps of the training"), dated=False)


# ---- events ---------------------------------------------------------------------------------------------------------


def _events(detection: SequenceDetection, run: str) -> None:
    st.subheader(_("Events"))
    if detection.events.empty:
        st.info(_("No row lies above the threshold."))
        return
    events = _filtered(detection)
    visible = events.head(SHOWN_EVENTS)
    st.caption(
        _(
            "{count} events, the highest score first: anomalies at most three rows apart are one event. "
            "Choose one to see why."
        ).format(count=shown(len(events)))
    )
    picked = st.dataframe(
        _readable(visible, feedback_form.column(run, visible.rename(columns={"start": "time"}))),
        hide_index=True,
        width="stretch",
        key="sequence-events",
        on_select="rerun",
        selection_mode="single-row",
        column_config=_columns(detection),
        alt=_("Events"),
    ).selection.rows
    if len(visible):
        number = int(visible.index[picked[0]] if picked and picked[0] < len(visible) else visible.index[0])
        sequence_event.show(detection, number)
        event = detection.events.loc[number]
        feedback_form.ask(
            "sequences",
            run,
            {"entity": event["entity"], "time": event["start"], "end": event["end"], "score": event["peak"]},
        )


def _filtered(detection: SequenceDetection) -> pd.DataFrame:
    events = detection.events
    names = sorted(events["entity"].astype(str).unique())
    left, right = st.columns([3, 4]) if len(names) > 1 else (st, st)
    chosen = (
        left.multiselect(_("Entities"), names, placeholder=_("All"), key="event-entities") if len(names) > 1 else []
    )
    levels = right.pills(
        _("Severity"),
        [3, 2, 1, 0],
        selection_mode="multi",
        format_func=severity,
        key="event-severity",
        help=_(
            "How far the peak lies from the usual score, in units of how far the threshold does: extreme 6 "
            "times, rare 3 times, notable 1.5 times."
        ),
    )
    keep = events["entity"].isin(chosen) if chosen else pd.Series(True, events.index)
    return events[keep & events["severity"].isin(levels)] if levels else events[keep]


def _readable(events: pd.DataFrame, verdicts: list[str]) -> pd.DataFrame:
    """Return the displayed columns of the events."""
    table = pd.DataFrame(
        {
            "number": events.index + 1,
            "severity": [severity(level) for level in events["severity"]],
            "verdict": verdicts,
            "entity": events["entity"].astype(str),
            "start": events["start"],
            "end": events["end"],
            "rows": events["rows"],
            "causes": events["causes"],
            "peak": events["peak"].round(3),
            "odds": [_probability(each) for each in events["odds"]],
        }
    )
    return table.assign(known=events["known"].to_numpy()) if "known" in events else table


def _probability(odds: float) -> str:
    return _("1 in {count}").format(count=shown(round(1 / odds))) if odds > 0 else "–"


def _columns(detection: SequenceDetection) -> dict[str, ColumnConfig]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    hours = date_format() + ("" if detection.data.profile else " HH:mm")

    def moment(label: str) -> ColumnConfig:
        return st.column_config.DatetimeColumn(label, format=hours) if detection.is_dated else number(label)

    return {
        "number": number(_("Number"), width="small"),
        "severity": text(_("Severity"), width="small"),
        "verdict": feedback_form.column_config(),
        "entity": text(_("Entity")),
        "start": moment(_("Start")),
        "end": moment(_("End")),
        "rows": number(_("Rows"), width="small"),
        "causes": text(_("Causes by the detector"), width="large"),
        "peak": number(_("Peak"), format="localized", width="small"),
        "odds": text(
            _("Odds"),
            help=_(
                "Share of the held-out rows that score at least as high; it cannot say less than one in their number."
            ),
        ),
        "known": st.column_config.CheckboxColumn(_("Labelled"), help=_("A row of the event is labelled abnormal.")),
    }


def _likelihoods(detection: SequenceDetection) -> bytes:
    with TemporaryDirectory(prefix="vigie-") as folder:
        path = Path(folder) / "scores.txt"
        detection.write_likelihoods(path)
        return path.read_bytes()
