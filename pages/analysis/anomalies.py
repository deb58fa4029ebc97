"""Anomalies: which rows are abnormal, against what, and why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core.analyses.anomalies import apply_model, detect, detection_of, detectors, models
from core.analyses.selection import Selection
from core.data.dataset import Dataset
from core.detectors.base import Detector
from core.detectors.comparisons import COMPARISONS
from pages.parts import doctor, forms, session
from pages.parts.show import anomalies as show
from pages.parts.text import _, date_format, percent, shown

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
FRESH, SAVED = "fit", "apply"


@dataclass(frozen=True)
class Request:
    """What the form asks for."""

    selection: Selection
    detector: Detector
    compare_with: str
    contamination: float
    incomplete: Any
    model_run: str | None = None


def page() -> None:
    st.title(_("Anomalies"))
    dataset = session.dataset()
    if dataset is None:
        st.info(_("There is no data yet. Load a file or open a sample first."), icon=":material/upload_file:")
        st.page_link(Path(__file__).parents[1] / "data" / "load.py", label=_("Load data"), icon=":material/upload_file:")
        return
    _about(dataset)
    request = _form(dataset)
    if request is not None:
        _run(dataset, request)
    _result(dataset)


def _about(dataset: Dataset) -> None:
    repaired = _("repairs made: {count}").format(count=len(dataset.recipe)) if dataset.recipe else _("as in the files")
    rows = _("rows: {rows}").format(rows=shown(len(dataset)))
    entities = _("entities: {entities}").format(entities=shown(len(dataset.entities)))
    proposals = doctor.open_proposals(dataset)
    st.caption(" · ".join([", ".join(dataset.files), rows, entities, dataset.unit or _("no unit"), repaired]))
    if proposals:
        st.page_link(
            Path(__file__).parents[1] / "data" / "load.py", icon=":material/healing:",
            label=_("The data doctor proposes repairs: {count}").format(count=shown(proposals)),
            query_params={"dataset": dataset.digest},
        )  # fmt: skip


def _form(dataset: Dataset) -> Request | None:
    """The question; None until it is asked."""
    asked = session.run_id() is not None
    with st.expander(_("Question"), expanded=not asked, icon=":material/tune:"):
        how = st.segmented_control(
            _("Model"), [FRESH, SAVED], default=FRESH, key="how", required=True,
            format_func={FRESH: _("Fit on these rows"), SAVED: _("Apply a saved model")}.__getitem__,
        )  # fmt: skip
        with st.form("question", border=False):
            selection = _selection(dataset)
            request = _fresh(dataset, selection) if how == FRESH else _saved(selection)
            submitted = st.form_submit_button(
                _("Find anomalies"), type="primary", icon=":material/troubleshoot:", disabled=request is None
            )
    return request if submitted else None


def _selection(dataset: Dataset) -> Selection:
    left, right = st.columns([3, 2])
    entities = left.multiselect(_("Entities"), dataset.entities, placeholder=_("All"), key="entities")
    if not dataset.dated:
        return Selection(tuple(entities))
    first, last = dataset.time.min().date(), dataset.time.max().date()
    period = right.date_input(
        _("Period"), (first, last), min_value=first, max_value=last, format=date_format(), key="period"
    )
    start, end = (period[0], period[-1]) if len(period) else (first, last)
    return Selection(
        tuple(entities),
        None if start == first else session.timestamp(start), None if end == last else session.timestamp(end),
    )  # fmt: skip


def _fresh(dataset: Dataset, selection: Selection) -> Request:
    known = {name: each for name, each in COMPARISONS.items() if dataset.dated or not each.needs_dates}
    compare_with = st.radio(
        _("Compared with what?"), list(known), key="compare-with", format_func=lambda name: _(known[name].label),
        captions=[_(each.help) for each in known.values()],
    )  # fmt: skip
    left, right = st.columns(2)
    contamination = left.select_slider(
        _("Share of rows to flag"), SHARES, 0.01, format_func=percent, key="contamination",
        help=_("The rows with the highest scores, whatever the scores are."),
    )  # fmt: skip
    incomplete = right.selectbox(
        _("Rows with missing measurements"), ["drop", "impute"], key="incomplete",
        format_func={"drop": _("leave out"), "impute": _("fill from the same entity")}.__getitem__,
    )  # fmt: skip
    choices = detectors()
    name = st.selectbox(_("Detector"), list(choices), format_func=lambda each: _(choices[each].label), key="detector")
    with st.popover(_("Settings of the detector"), icon=":material/settings:"):
        detector = forms.ask(choices[name], name)
    return Request(selection, detector, compare_with, contamination, incomplete)


def _saved(selection: Selection) -> Request | None:
    runs = {record.id: record for record in models(session.here())}
    if not runs:
        st.info(_("No model has been saved yet: fit one first."))
        return None
    chosen = st.selectbox(_("Saved model"), list(runs), format_func=lambda run: _described(runs[run]), key="model-run")
    return Request(selection, next(iter(detectors().values()))(), "", 0.01, "drop", chosen)


def _described(record: Any) -> str:
    return f"{shown(session.moment(record.started_ms))} · {record.name} · {_(COMPARISONS[record.params['compare_with']].label)}"


def _run(dataset: Dataset, request: Request) -> None:
    """One click, one run: the address then carries it, and the page shows what the run kept."""
    with st.spinner(_("Scoring {rows} rows …").format(rows=shown(len(dataset)))):
        run = session.answered_once(f"{dataset.digest} {request}", lambda: _asked(dataset, request))
    session.remember_run(run, dataset.digest)
    st.rerun()


def _asked(dataset: Dataset, request: Request) -> str:
    """The id of the run that answers `request`."""
    here, by = session.here(), session.me("anomalies")
    if request.model_run:
        return apply_model(dataset, request.model_run, selection=request.selection, at=here, by=by)[1].id
    return detect(
        dataset, request.detector, compare_with=request.compare_with, contamination=request.contamination,
        incomplete=request.incomplete, selection=request.selection, at=here, by=by,
    )[1].id  # fmt: skip


def _result(dataset: Dataset) -> None:
    run = session.run_id()
    if run is None:
        return
    detection = session.cached(detection_of, run)
    if detection.question.dataset == dataset.digest:
        show.detection(detection, Selection.asked(detection.question).of(dataset), run)
    else:
        st.warning(_("This result belongs to data other than those loaded; the curves are left out."))
        show.detection(detection, None, run)


page()
