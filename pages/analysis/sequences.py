"""Page of the sequences task: abnormal rows of many series, with a target false-alarm rate."""

from typing import Any

import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.detectors.base import SequenceDetector
from core.spec.hyperparameters import get_hyperparameters
from core.spec.spec import ApplySpec, Spec
from core.spec.task import get_task
from core.tasks.comparison.run import load_comparison
from core.tasks.comparison.spec import ComparisonSpec
from core.tasks.sequences.spec import (
    FAST_DETECTORS,
    PER_1000_ROWS,
    PERIOD_LABELS,
    THRESHOLD_LABELS,
    SequenceSpec,
    list_detectors,
)
from core.tasks.sequences.split import (
    PART_COLUMN,
    TRAIN_PART,
    compute_sampling_seconds,
    find_default_split,
    has_train_part,
)
from pages.components import cache, forms, job_progress, task_page, url_state
from pages.components.i18n import _, format_percent, format_value, get_date_format
from pages.components.results import score_card, sequences
from pages.components.task_links import link_first_steps

MIN_ROWS = 24  # half of them, minus the held-out fifth, are training rows
DAY_S = 86_400
FLAGGED_SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
TAIL_RISKS = (0.01, 0.005, 0.001, 0.0005, 0.0001, 0.00001)


def page() -> None:
    """Show the form, the result, and the comparison of detectors."""
    task, dataset = task_page.open_page("sequences")
    if dataset is None:
        return
    if len(dataset) < MIN_ROWS:
        st.info(
            _(
                "These data have only {rows} row. At least {least} are needed for training and test.",
                "These data have only {rows} rows. At least {least} are needed for training and test.",
                len(dataset),
            ).format(rows=len(dataset), least=MIN_ROWS),
            icon=":material/data_alert:",
        )
        link_first_steps()
        return
    task_page.ask_and_show(
        task,
        dataset,
        sequences.show_detection,
        widgets={"detector": _ask_detector, "until": _ask_split, **_ThresholdForm().widgets},
        describe_model=lambda record: str(record.params["detector"]),
        after_button=_explain_model,
        actions=_offer_comparison,
    )
    comparison = cache.load_result("comparison", load_comparison)
    if comparison is not None and not job_progress.is_job_running():
        score_card.show_comparison(comparison, url_state.get_run_id())


def _explain_model(spec: Spec) -> None:
    """Explain the effect of a saved model on the rows."""
    if isinstance(spec, ApplySpec):
        st.caption(_("All rows are scored with the model and the threshold of that run."))


def _offer_comparison(spec: Spec | None) -> None:
    """Show the button that compares the quick detectors on the selected rows."""
    task = get_task("comparison")
    clicked = st.button(
        _(task.action),
        icon=f":material/{task.icon}:",
        key=f"{task.name}-ask",
        disabled=not isinstance(spec, SequenceSpec) or job_progress.is_job_running(),
        help=_(
            "Runs the fast detectors on one entity and ranks them. The ranking uses the "
            "labels, or injected anomalies if there are no labels."
        ),
    )
    if clicked and isinstance(spec, SequenceSpec):
        shared = {name: getattr(spec, name) for name in get_hyperparameters(ComparisonSpec)}
        task_page.submit_spec(task, ComparisonSpec(**shared))


# ---- widgets --------------------------------------------------------------------------------------------------------


def _ask_detector(dataset: Dataset) -> SequenceDetector:
    choices = list_detectors()
    name = st.selectbox(
        _("Detector"),
        list(choices),
        key="sequences-detector",
        format_func=lambda name: (
            _("{name} · recommended first").format(name=_(choices[name].label))
            if name in FAST_DETECTORS
            else _(choices[name].label)
        ),
        help=_(
            "The first detectors take seconds. In benchmarks, the deep model is rarely better "
            "than all of them. The seasonal residual suits hourly rows with a daily rhythm. Compare several detectors."
        ),
        persist_state="page",
    )
    with st.popover(_("Settings of the detector"), icon=":material/settings:"):
        detector: SequenceDetector = forms.ask_settings(choices[name], f"sequences-detector-{name}")
    return detector


def _ask_split(dataset: Dataset) -> str:
    """Ask for the end of the training rows; the rows from there on are test rows."""
    label = _("Train on the rows before")
    if has_train_part(dataset):
        st.text_input(label, _("the end of the training part"), disabled=True, key="sequences-part")
        st.caption(_("The column {column} of the files marks the training rows.").format(column=PART_COLUMN))
        return TRAIN_PART
    split = find_default_split(dataset)
    help_ = _(
        "The detector is trained on the rows before this date, which should be mostly normal. The "
        "threshold is computed from scores of these rows, by trainings that leave out a part of them. All "
        "later rows are test rows."
    )
    if not dataset.has_dates:
        last = int(dataset.time.max())
        return str(
            st.number_input(
                label, 1, max(last, 1), int(split), help=help_, key="sequences-until-row", persist_state="page"
            )
        )
    first, last = dataset.time.min().to_pydatetime(), dataset.time.max().to_pydatetime()
    if (compute_sampling_seconds(dataset) or 0) >= DAY_S:
        start, min_day, max_day = pd.Timestamp(split).date(), first.date(), last.date()
        day = st.date_input(
            label,
            start,
            min_day,
            max_day,
            format=get_date_format(),
            help=help_,
            key="sequences-until-day",
            persist_state="page",
        )
        return str(day)
    time = st.datetime_input(
        label,
        pd.Timestamp(split).floor("min").to_pydatetime(),
        min_value=first,
        max_value=last,
        format=get_date_format(),
        step=60 * 15,
        help=help_,
        key="sequences-until",
        persist_state="page",
    )
    return str(time)


class _ThresholdForm:
    """Three widgets for the threshold; the first one decides on the content of the other two."""

    threshold = "alarms"

    @property
    def widgets(self) -> dict[str, Any]:
        """Field of the spec → widget, in the order of the form."""
        return {"threshold": self.ask_threshold, "amount": self.ask_amount, "per": self.ask_period}

    def ask_threshold(self, dataset: Dataset) -> str:
        """Ask for the kind of threshold."""
        self.threshold = st.selectbox(
            _("Threshold"),
            SequenceSpec.list_choices("threshold", dataset),
            format_func=lambda kind: _(THRESHOLD_LABELS[kind]),
            key="sequences-threshold",
            persist_state="page",
        )
        return self.threshold

    def ask_amount(self, dataset: Dataset) -> float:
        """Ask for the number of false alarms, the tail risk or the share of rows; 0 for the labels."""
        if self.threshold == "alarms":
            return self._ask_alarms()
        if self.threshold == "pot":
            return self._ask_risk()
        if self.threshold == "contamination":
            return self._ask_share()
        st.warning(
            _(
                "This threshold is chosen with the labels of the test rows. Its F1 is an upper "
                "bound: the F1 on new rows is usually lower."
            ),
            icon=":material/auto_awesome:",
        )
        return 0.0

    def ask_period(self, dataset: Dataset) -> str:
        """Ask for the period in which false alarms are counted."""
        if self.threshold != "alarms":
            return PER_1000_ROWS
        choices = SequenceSpec.list_choices("per", dataset)
        start = choices.index("week") if "week" in choices else 0
        return st.selectbox(
            _("Period"),
            choices,
            start,
            format_func=lambda period: _(PERIOD_LABELS[period]),
            key="sequences-per",
            persist_state="page",
        )

    def _ask_alarms(self) -> float:
        return st.number_input(
            _("False alarms"),
            0.01,
            1000.0,
            2.0,
            step=1.0,
            format="%g",
            key="sequences-amount",
            help=_(
                "Target number of normal rows that are flagged, over all entities together. "
                "The target holds if the test rows are similar to the held-out rows. The "
                "result shows the measured number."
            ),
            persist_state="page",
        )

    def _ask_risk(self) -> float:
        return st.select_slider(
            _("Share of normal rows above the threshold"),
            TAIL_RISKS,
            0.001,
            format_func=lambda share: _("1 in {count}").format(count=format_value(round(1 / share))),
            key="sequences-amount-risk",
            help=_(
                "Computed from the tail of the scores of normal rows (peaks over threshold). "
                "The share can be smaller than any share observed in the data."
            ),
            persist_state="page",
        )

    def _ask_share(self) -> float:
        return st.select_slider(
            _("Share of rows to flag"),
            FLAGGED_SHARES,
            0.01,
            format_func=format_percent,
            key="sequences-amount-share",
            help=_(
                "Flags the rows with the highest scores, whatever their values. There is no target false-alarm rate."
            ),
            persist_state="page",
        )


page()
