"""Replay: the incidents that a watch would have opened in the past, at any threshold; and ten rows to judge."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.operations.queries import REPLAY_WATCH
from core.operations.watching.figures import choose_replayed_entity, draw_replay
from core.operations.watching.replay import build_replay_spec
from core.operations.watching.replay_result import Replay, ReplaySpec
from core.operations.watching.watches import suggest_watch
from core.queries import compute_answer_key
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_run
from core.watches.watch import Watch
from pages.components import answers, cache, clock, downloads, url_state
from pages.components.choices import label_uniquely
from pages.components.i18n import _, format_percent, format_value, get_date_format
from pages.components.names import shorten_name
from pages.components.results.run_widgets import show_chart, show_notes
from pages.components.task_links import link_first_steps
from pages.components.watch import rows_to_judge
from pages.components.watch.words import format_severity

if TYPE_CHECKING:
    from core.storage.watches.watch_store import WatchState

ASKED_STATE, DRAFT = "replay-asked", ""
TRUTH_MARKS = {1.0: "✓", 0.0: "✗"}
MAX_LISTED = 500
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0


def show(states: "Mapping[str, WatchState]") -> None:
    """Ask for a watch, its data and a period; show the incidents that it would have opened."""
    watch = _choose_watch(states)
    if watch is None:
        st.info(
            _("A replay runs a watch over the past. Start a watch, or open a result and choose “Ask this again”."),
            icon=":material/replay:",
        )
        link_first_steps()
        return
    run_id = resolve_run(watch.model, cache.get_workspace())
    dataset = _choose_dataset(run_id)
    if dataset is None:
        st.info(_("The data of the model are not stored any more. Load data that the watch can judge."))
        link_first_steps()
        return
    spec = _ask_spec(watch, dataset)
    if spec is not None and _is_asked(spec):
        replay = answers.ask(REPLAY_WATCH, spec, place="watch-replay")
        if replay is not None:
            _show_replay(replay)
    rows_to_judge.show(run_id, watch.task)


# ---- question -------------------------------------------------------------------------------------------------------


def _choose_watch(states: "Mapping[str, WatchState]") -> Watch | None:
    """Return the chosen watch; that of the result in the address where it is not started yet."""
    run_id = url_state.get_run_id()
    names = [*([DRAFT] if run_id else []), *states]
    if not names:
        return None
    name = st.selectbox(
        _("Watch"),
        names,
        format_func=lambda name: name or _("the result in the address"),
        key="replay-watch",
        width=300,
    )
    if not name:
        return cache.cache_by_run(suggest_watch, run_id)
    return states[name].watch if name in states else None


def _choose_dataset(run_id: str) -> Dataset | None:
    """Return the loaded data, or those of the model; ask where both are there."""
    digests = [url_state.get_dataset_digest(), cache.cache_by_run(load_run, run_id).record.tags.get("dataset.digest")]
    datasets = {}
    for digest in dict.fromkeys(filter(None, reversed(digests))):
        try:
            datasets[digest] = cache.load_dataset_by_digest(digest)
        except NotFoundError:
            continue
    if not datasets:
        return None
    chosen = next(iter(datasets))
    if len(datasets) > 1:
        labels = {digest: shorten_name(", ".join(dataset.files) or digest[:12]) for digest, dataset in datasets.items()}
        chosen = st.radio(_("Data"), list(datasets), format_func=labels.__getitem__, key="replay-data", horizontal=True)
    return datasets[chosen]


def _ask_spec(watch: Watch, dataset: Dataset) -> ReplaySpec | None:
    """Ask for the period and for training as it would have been; None while only one end of the period is chosen."""
    if not dataset.has_dates:
        st.warning(_("These data have no dates. A replay needs dates."), icon=":material/event_busy:")
        return None
    first, last = (pd.Timestamp(end).date() for end in (dataset.time.min(), dataset.time.max()))
    with st.container(horizontal=True, vertical_alignment="bottom", key="replay-question"):
        days = st.date_input(
            _("Period"),
            (first, last),
            min_value=first,
            max_value=last,
            format=get_date_format(),
            key=f"replay-period-{dataset.digest[:12]}",
            width=260,
        )
        is_refit = st.toggle(
            _("Train again as the watch would have"),
            key="replay-refit",
            disabled=not watch.refit,
            help=_(
                "The model is trained on the rows before the period, and again at each date of the watch. No model "
                "knows rows of its future. The watch needs a schedule for training."
            ),
        )
        if not isinstance(days, tuple) or len(days) != 2:
            return None
        spec = _build_spec(watch, dataset, days, is_refit and bool(watch.refit))
        if st.button(_("Replay the period"), type="primary", icon=":material/replay:", key="replay-ask"):
            url_state.set_state(ASKED_STATE, spec)
    return spec


def _build_spec(watch: Watch, dataset: Dataset, days: tuple[date, ...], is_refit: bool) -> ReplaySpec:
    start, end = (day.isoformat() for day in days)
    return build_replay_spec(watch, dataset, start, end, is_refit=is_refit, workspace=cache.get_workspace())


def _is_asked(spec: ReplaySpec) -> bool:
    """Tell whether the reader asked this question, or somebody has an answer to it."""
    return url_state.get_state(ASKED_STATE) == spec or answers.find_answer(REPLAY_WATCH, spec) is not None


# ---- answer ---------------------------------------------------------------------------------------------------------


def _show_replay(replay: Replay) -> None:
    answer = compute_answer_key(REPLAY_WATCH, replay.spec)[:12]
    thresholds = replay.thresholds["threshold"].tolist()[::-1]
    own = float(replay.current["threshold"])
    threshold = own
    if len(thresholds) > 1:
        threshold = st.select_slider(
            _("Threshold"),
            thresholds,
            own,
            format_func=label_uniquely(thresholds, lambda value: format_value(float(f"{value:.4g}"))),
            key=f"replay-threshold-{answer}",
            help=_("At first the threshold of the model. A higher one opens fewer incidents."),
        )
    _show_figures(replay, replay.find_line(threshold))
    incidents = replay.incidents if threshold == own else replay.list_incidents(threshold)
    entity = _choose_entity(replay, incidents, answer)
    show_chart(
        draw_replay(replay, threshold, entity, translate=_),
        "watch-replay",
        _("Scores, threshold and incidents of the replayed period"),
    )
    _show_incidents(incidents, replay.zone)
    show_notes(replay.notes)


def _choose_entity(replay: Replay, incidents: pd.DataFrame, key: str) -> str:
    """Ask for the entity whose scores are drawn; at first the one with the highest score."""
    names = sorted(replay.rows["entity"].unique())
    first = choose_replayed_entity(replay, incidents)
    if len(names) < 2:
        return first
    return str(st.selectbox(_("Entity"), names, names.index(first), key=f"replay-entity-{key}", width=300))


def _show_figures(replay: Replay, line: "pd.Series[float]") -> None:
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Incidents"), format_value(int(line["incidents"])), border=True)
        st.metric(_("Incidents a month"), _format_amount(line["incidents_per_month"]), border=True)
        if replay.truth:
            source = _("labels of the data") if replay.truth == "labels" else _("verdicts")
            st.metric(
                _("Precision"),
                _format_share(line["precision"]),
                border=True,
                help=_("Share of true incidents among those about which the {source} say something.").format(
                    source=source
                ),
            )
            st.metric(
                _("Recall"),
                _format_share(line["recall"]),
                border=True,
                help=_("Share of the known faults that an incident touches."),
            )
            st.metric(
                _("Delay"),
                _format_delay(line["delay_s"]),
                border=True,
                help=_("Median time from the beginning of a fault to its first alarm."),
            )
    if not replay.truth:
        st.caption(_("Nothing is known about the truth: the data have no labels, and no incident has a verdict."))


def _format_amount(amount: float) -> str:
    return "–" if amount != amount else format_value(round(float(amount), 1))


def _format_share(share: float) -> str:
    return "–" if share != share else format_percent(round(float(share), 4))


def _format_delay(seconds: float) -> str:
    if seconds != seconds:
        return "–"
    if seconds < HOUR_S:
        return _("{count} min").format(count=format_value(round(seconds / MINUTE_S)))
    if seconds < 2 * DAY_S:
        return _("{count} h").format(count=format_value(round(seconds / HOUR_S, 1)))
    return _("{count} days").format(count=format_value(round(seconds / DAY_S, 1)))


def _show_incidents(incidents: pd.DataFrame, zone: str) -> None:
    if incidents.empty:
        st.info(_("At this threshold the watch would have opened no incident."), icon=":material/check_circle:")
        return
    shown = incidents.head(MAX_LISTED)
    table = pd.DataFrame({"truth": [TRUTH_MARKS.get(value, "") for value in shown["truth"]]})
    if "severity" in shown:
        table["severity"] = [format_severity(int(level)) for level in shown["severity"]]
    for name in ("entity", "start", "end", "rows", "column", "measured", "expected", "peak"):
        if name in shown:
            table[name] = shown[name].to_numpy()
    for name in ("start", "end"):
        table[name] = [clock.to_data_time(pd.Timestamp(instant, tz="UTC"), zone) for instant in table[name]]
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    times = st.column_config.DatetimeColumn
    time_format = f"{get_date_format()} HH:mm"
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="replay-incidents",
        alt=_("Incidents, worst first"),
        placeholder="–",
        column_config={
            "truth": text("✓ ✗", width=50, help=_("✓ a true alarm, ✗ a false one, as far as it is known.")),
            "severity": text(_("Severity")),
            "entity": text(_("Entity")),
            "start": times(_("Start"), format=time_format),
            "end": times(_("End"), format=time_format),
            "rows": number(_("Rows"), format="localized"),
            "column": text(_("Column")),
            "measured": number(_("Measured"), format="localized"),
            "expected": number(_("Expected"), format="localized"),
            "peak": number(_("Highest score"), format="localized"),
        },
    )
    downloads.show_csv_button(_("These incidents (CSV)"), lambda: incidents, "replay.csv", "replay-csv")
