"""Sequences: which moments of many series are abnormal, with a threshold that promises something, and why."""

from typing import Any

import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.detectors.base import SequenceDetector
from core.tasks.comparison.run import comparison_of
from core.tasks.selection import Selection
from core.tasks.sequences.config import PART, TRAIN, Asked, Plan, has_part, row_seconds, usual_until
from core.tasks.sequences.result import THOUSAND, SequenceDetection
from core.tasks.sequences.run import TRY_FIRST, detectors, question_of, sequences_of
from pages.components import cache, forms, job_progress, model_picker, selection_form, url_state
from pages.components.i18n import _, date_format, percent
from pages.components.results import score_card
from pages.components.results import sequences as show

FRESH, SAVED = "fit", "apply"
TOO_FEW = 24  # half of them, less a fifth, is what can be learnt from
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)


def page() -> None:
    st.title(_("Sequences"))
    dataset = cache.load_dataset()
    if dataset is None:
        selection_form.no_data()
        return
    selection_form.about(dataset)
    if len(dataset) < TOO_FEW:
        st.info(
            _(
                "These data have {rows} rows: too few to learn from some and to judge the others. At least "
                "{least} are needed."
            ).format(rows=len(dataset), least=TOO_FEW),
            icon=":material/data_alert:",
        )
        return
    found = cache.load_result("sequences", sequences_of)
    compared = cache.load_result("sequence-comparison", comparison_of)
    ended = job_progress.settled(dataset.digest)
    _ask(dataset, asked=found is not None)
    job_progress.show(ended)
    if job_progress.going_on():
        return
    if compared is not None:
        score_card.comparison(compared, url_state.get_run_id())
    if found is not None:
        _result(dataset, found)


def _result(dataset: Dataset, found: SequenceDetection) -> None:
    if found.question.dataset == dataset.digest:
        show.detection(found, Selection.asked(found.question).of(dataset), url_state.get_run_id())
    else:
        st.warning(_("This result belongs to data other than those loaded; the curves are left out."))
        show.detection(found, None, url_state.get_run_id())


# ---- the question ---------------------------------------------------------------------------------------------------


def _ask(dataset: Dataset, asked: bool) -> None:
    """The question; its answer is begun when it is asked."""
    with st.expander(_("Question"), expanded=not asked and not job_progress.going_on(), icon=":material/tune:"):
        how = st.segmented_control(
            _("Model"),
            [FRESH, SAVED],
            default=FRESH,
            key="sequence-how",
            required=True,
            format_func={FRESH: _("Fit on the first rows"), SAVED: _("Apply a saved model")}.__getitem__,
        )
        selection = Selection(*selection_form.part(dataset, "sequence"))
        arguments = _fresh(dataset, selection) if how == FRESH else _saved(dataset, selection)
        busy = arguments is None or job_progress.going_on()
        with st.container(horizontal=True):
            find = st.button(
                _("Find abnormal moments"),
                type="primary",
                icon=":material/monitoring:",
                key="find-sequences",
                disabled=busy,
            )
            compare = st.button(
                _("Compare detectors"),
                icon=":material/leaderboard:",
                key="compare-sequences",
                disabled=busy or how == SAVED,
                help=_(
                    "Runs the quick detectors on one entity and says which sees most: by the labels, or where "
                    "there are none by planted anomalies."
                ),
            )
        if arguments is not None and find:
            job_progress.start("sequences", arguments)
        if arguments is not None and compare:
            job_progress.start(
                "sequence_comparison",
                {name: arguments[name] for name in ("dataset", "plan", "entities", "start", "end")},
            )


def _fresh(dataset: Dataset, selection: Selection) -> dict[str, Any]:
    left, middle, right = st.columns(3)
    with left:
        detector = _detector()
    with middle:
        until = _until(dataset)
    with right:
        plan = _scaling(until)
    return question_of(dataset.digest, detector, plan, _threshold(dataset), selection=selection)


def _detector() -> SequenceDetector:
    choices = detectors()
    name = st.selectbox(
        _("Detector"),
        list(choices),
        key="sequence-detector",
        format_func=lambda each: (
            _("{name} · try first").format(name=_(choices[each].label)) if each in TRY_FIRST else _(choices[each].label)
        ),
        help=_(
            "The first ones take seconds, and on measured data sets the deep model seldom beats all of them: compare."
        ),
    )
    with st.popover(_("Settings of the detector"), icon=":material/settings:"):
        return forms.ask(choices[name], name)


def _until(dataset: Dataset) -> str:
    """Where learning ends and judging begins."""
    if has_part(dataset):
        st.text_input(_("Fit on rows until"), _("the end of the training part"), disabled=True, key="sequence-part")
        st.caption(_("The files say which rows are for training (column {column}).").format(column=PART))
        return TRAIN
    middle, label = usual_until(dataset), _("Fit on rows until")
    help_ = _(
        "Rows before it should be mostly normal: the model learns from them, and its threshold comes from the "
        "last fifth of them. Rows from it on are judged."
    )
    if not dataset.dated:
        last = int(dataset.time.max())
        return str(st.number_input(label, 1, max(last, 1), int(middle), help=help_, key="sequence-until-row"))
    first, last = dataset.time.min().to_pydatetime(), dataset.time.max().to_pydatetime()
    if (row_seconds(dataset) or 0) >= 86_400:
        day = st.date_input(
            label,
            pd.Timestamp(middle).date(),
            min_value=first.date(),
            max_value=last.date(),
            format=date_format(),
            help=help_,
            key="sequence-until-day",
        )
        return str(day)
    chosen = st.datetime_input(
        label,
        pd.Timestamp(middle).floor("min").to_pydatetime(),
        min_value=first,
        max_value=last,
        format=date_format(),
        step=60 * 15,
        help=help_,
        key="sequence-until",
    )
    return str(chosen)


def _scaling(until: str) -> Plan:
    words = {
        "minmax": _("smallest and greatest"),
        "standard": _("mean and standard deviation"),
        "robust": _("median and quartiles"),
    }
    scaling = st.selectbox(
        _("Columns made comparable by"),
        list(words),
        format_func=words.__getitem__,
        key="sequence-scaling",
        help=_("Learnt from the rows fitted on, and kept with the model."),
    )
    counts = st.checkbox(
        _("Columns are counts"),
        key="sequence-counts",
        help=_("Takes log(1 + value) first: for counts that span several powers of ten."),
    )
    return Plan(until, scaling, counts)  # type: ignore[arg-type]


def _threshold(dataset: Dataset) -> Asked:
    """How many false alarms are accepted."""
    words = {
        "alarms": _("So many false alarms at most"),
        "pot": _("So rare a normal row"),
        "contamination": _("So many of the rows"),
    }
    if dataset.labels is not None:
        words["best_f1"] = _("Best for the labels")
    left, middle, right = st.columns(3)
    kind = left.selectbox(_("Threshold"), list(words), format_func=words.__getitem__, key="sequence-threshold")
    if kind == "alarms":
        return _alarms(dataset, middle, right)
    if kind == "pot":
        with middle:
            amount = selection_form.risk("sequence-risk")
        return Asked("pot", amount, THOUSAND)
    if kind == "contamination":
        amount = middle.select_slider(
            _("Share of rows to flag"),
            SHARES,
            0.01,
            format_func=percent,
            key="sequence-share",
            help=_("The rows with the highest scores, whatever the scores are: no promise about false alarms."),
        )
        return Asked("contamination", amount, THOUSAND)
    st.warning(
        _(
            "Chosen with the labels of the rows it is judged on: an upper bound of what is possible, never "
            "what to expect."
        ),
        icon=":material/auto_awesome:",
    )
    return Asked("best_f1", 0.0, THOUSAND)


def _alarms(dataset: Dataset, left: Any, right: Any) -> Asked:
    words = {"week": _("a week"), "day": _("a day"), THOUSAND: _("per 1,000 rows")}
    if row_seconds(dataset) is None:
        words = {THOUSAND: words[THOUSAND]}
    amount = left.number_input(
        _("False alarms"),
        0.01,
        1000.0,
        2.0,
        step=1.0,
        format="%g",
        key="sequence-alarms",
        help=_(
            "Rows flagged although nothing is wrong, over all entities together. Promised where the rows "
            "judged are like those held out; the page measures it."
        ),
    )
    per = right.selectbox(_("In what time"), list(words), format_func=words.__getitem__, key="sequence-per")
    return Asked("alarms", float(amount), per)


def _saved(dataset: Dataset, selection: Selection) -> dict[str, Any] | None:
    chosen = model_picker.choose("sequences", _described)
    if not chosen:
        return None
    st.caption(_("Every row is judged by the model and the threshold of that run."))
    return question_of(dataset.digest, selection=selection, model_run=chosen)


def _described(record: Any) -> str:
    return str(record.params["detector"])


page()
