"""Anomalies: which rows are abnormal, against what, and why."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.data.dataset import Dataset
from core.detectors.base import Detector
from core.detectors.comparisons import COMPARISONS
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import apply_model, detect, detection_of, detectors
from core.tasks.selection import Selection
from pages.components import auth, cache, forms, model_picker, selection_form, url_state
from pages.components.i18n import _, percent, shown
from pages.components.results import anomalies as show

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
FRESH, SAVED = "fit", "apply"


@dataclass(frozen=True)
class Request:
    """What the form asks for."""

    selection: Selection
    detector: Detector
    compare_with: str
    contamination: float
    risk: float | None
    incomplete: Any
    model_run: str | None = None


def page() -> None:
    st.title(_("Anomalies"))
    dataset = cache.load_dataset()
    if dataset is None:
        selection_form.no_data()
        return
    selection_form.about(dataset)
    found = cache.load_result("anomalies", detection_of)
    request = _form(dataset, asked=found is not None)
    if request is not None:
        _run(dataset, request)
    if found is not None:
        _result(dataset, found)


def _form(dataset: Dataset, asked: bool) -> Request | None:
    """The question; None until it is asked."""
    with st.expander(_("Question"), expanded=not asked, icon=":material/tune:"):
        how = st.segmented_control(
            _("Model"),
            [FRESH, SAVED],
            default=FRESH,
            key="how",
            required=True,
            format_func={FRESH: _("Fit on these rows"), SAVED: _("Apply a saved model")}.__getitem__,
        )
        with st.form("question", border=False):
            selection = Selection(*selection_form.part(dataset, "anomaly"))
            request = _fresh(dataset, selection) if how == FRESH else _saved(selection)
            submitted = st.form_submit_button(
                _("Find anomalies"), type="primary", icon=":material/troubleshoot:", disabled=request is None
            )
    return request if submitted else None


def _fresh(dataset: Dataset, selection: Selection) -> Request:
    known = {name: each for name, each in COMPARISONS.items() if dataset.dated or not each.needs_dates}
    compare_with = st.radio(
        _("Compared with what?"),
        list(known),
        key="compare-with",
        format_func=lambda name: _(known[name].label),
        captions=[_(each.help) for each in known.values()],
    )
    left, right = st.columns(2)
    contamination, risk = _threshold(left)
    incomplete = right.selectbox(
        _("Rows with missing measurements"),
        ["drop", "impute"],
        key="incomplete",
        format_func={"drop": _("leave out"), "impute": _("fill from the same entity")}.__getitem__,
    )
    choices = detectors()
    name = st.selectbox(_("Detector"), list(choices), format_func=lambda each: _(choices[each].label), key="detector")
    with st.popover(_("Settings of the detector"), icon=":material/settings:"):
        detector = forms.ask(choices[name], name)
    return Request(selection, detector, compare_with, contamination, risk, incomplete)


def _threshold(place: Any) -> tuple[float, float | None]:
    """The share of rows to flag, and the share of normal rows that may lie above the threshold where that decides."""
    with place:
        contamination = st.select_slider(
            _("Share of rows to flag"),
            SHARES,
            0.01,
            format_func=percent,
            key="contamination",
            help=_("The rows with the highest scores, whatever the scores are."),
        )
        with st.popover(_("Another threshold"), icon=":material/straighten:"):
            by_tail = st.checkbox(
                _("By the tail of the scores instead"),
                key="by-tail",
                help=_(
                    "Peaks over threshold: flags what only so small a share of normal rows would exceed, and "
                    "nothing where nothing stands out."
                ),
            )
            risk = selection_form.risk("risk")
    return contamination, risk if by_tail else None


def _saved(selection: Selection) -> Request | None:
    chosen = model_picker.choose("anomalies", _described)
    return Request(selection, next(iter(detectors().values()))(), "", 0.01, None, "drop", chosen) if chosen else None


def _described(record: Any) -> str:
    asked = record.params["compare_with"]
    return _(COMPARISONS[asked].label)


def _run(dataset: Dataset, request: Request) -> None:
    """One click, one run: the address then carries it, and the page shows what the run kept."""
    with st.spinner(_("Scoring {rows} rows …").format(rows=shown(len(dataset)))):
        run = cache.submit_once(f"{dataset.digest} {request}", lambda: _asked(dataset, request))
    url_state.set_run(run, dataset.digest)
    st.rerun()


def _asked(dataset: Dataset, request: Request) -> str:
    """The id of the run that answers `request`."""
    here, actor = cache.get_workspace(), auth.current_actor("anomalies")
    if request.model_run:
        return apply_model(
            dataset,
            model_picker.run_of(request.model_run, here),
            selection=request.selection,
            workspace=here,
            actor=actor,
        )[1].id
    return detect(
        dataset,
        request.detector,
        compare_with=request.compare_with,
        contamination=request.contamination,
        risk=request.risk,
        incomplete=request.incomplete,
        selection=request.selection,
        workspace=here,
        actor=actor,
    )[1].id


def _result(dataset: Dataset, found: Detection) -> None:
    if found.question.dataset == dataset.digest:
        show.detection(found, Selection.asked(found.question).of(dataset), url_state.get_run_id())
    else:
        st.warning(_("This result belongs to data other than those loaded; the curves are left out."))
        show.detection(found, None, url_state.get_run_id())


page()
