"""Threshold of a model of images: it moves from little to very sensitive, and all figures follow."""

import streamlit as st

from core.evaluation.one_class import Confusion
from core.evaluation.threshold_views import list_thresholds
from core.tasks.images import figures
from core.tasks.images.model_result import ImageModelResult
from core.tasks.images.views import choose_start
from pages.components.choices import label_uniquely
from pages.components.i18n import _, format_fixed, format_percent, format_value
from pages.components.results.run_widgets import show_chart
from pages.components.term_help import explain


def show(result: ImageModelResult, run: str) -> None:
    """Show the promise of the threshold, and what every other threshold would do."""
    thresholds = list_thresholds(result.test_rows["score"], result.threshold)
    if not thresholds:
        st.info(_("These images have no test part, so no threshold can be judged."))
        return
    if result.threshold is not None:
        st.markdown(describe_promise(result))
        if result.alarm_rate > result.alarm_band[1]:
            st.warning(
                _(
                    "More normal images than expected are above the threshold: the test part differs from "
                    "the training part."
                ),
                icon=":material/trending_up:",
            )
    _show_threshold(result, thresholds, run)


def describe_promise(result: ImageModelResult) -> str:
    """Return the promised and the measured share of false alarms, in words."""
    count = len(result.normal_test_rows)
    low, high = result.alarm_band
    promise = _(
        "**At most {promised} of normal images should be above the threshold**, computed from {held_out} held-out ones."
    ).format(promised=format_rate(result.promised_rate), held_out=format_value(result.counts.held_out))
    if not count:
        return f"{promise} " + _("No normal test image checks it.")
    measured = _(
        "**{measured} of {count} normal test images are.** By chance alone it would be {low} to {high}."
    ).format(
        measured=format_rate(result.alarm_rate), count=format_value(count), low=format_rate(low), high=format_rate(high)
    )
    return f"{promise} {measured}"


@st.fragment
def _show_threshold(result: ImageModelResult, thresholds: list[float], run: str) -> None:
    """Let the threshold move; only this part of the page is drawn again."""
    value = st.select_slider(
        _("Threshold, from low to high sensitivity"),
        thresholds,
        choose_start(result, thresholds),
        format_func=label_uniquely(thresholds, lambda score: format_value(float(f"{score:.6g}"))),
        key=f"images-threshold-{run}",
        help=_("Images with a higher score are alarms. The slider begins at the threshold of the model."),
    )
    confusion = result.count_confusion(value)
    with st.container(horizontal=True, key="threshold-figures"):
        st.metric(
            _("Sensitivity"),
            format_rate(confusion.sensitivity),
            border=True,
            help=explain("sensitivity", _("Abnormal images found.")),
        )
        st.metric(
            _("Specificity"), format_rate(confusion.specificity), border=True, help=_("Normal images without alarm.")
        )
        st.metric(
            _("Precision"),
            format_rate(confusion.precision),
            border=True,
            help=explain("precision", _("Alarms that are abnormal images.")),
        )
    st.markdown(_build_confusion_table(confusion))
    scores, roc = st.columns([3, 2])
    with scores:
        show_chart(
            figures.draw_score_histogram(result, value, _),
            "images-scores",
            _("Scores of normal and of abnormal test images, with the threshold"),
        )
    if len(result.roc):
        with roc:
            show_chart(
                figures.draw_roc(result, value, _, lambda area: format_fixed(area, 3)),
                "images-roc",
                _("ROC curve with the point of the threshold"),
            )


def _build_confusion_table(confusion: Confusion) -> str:
    """Return the four counts as a Markdown table."""
    rows = [
        (_("abnormal"), confusion.true_alarms, confusion.missed),
        (_("normal"), confusion.false_alarms, confusion.quiet),
    ]
    alarm, no_alarm = _("alarm"), _("no alarm")
    lines = [f"| | {alarm} | {no_alarm} |", "|---|---:|---:|"]
    lines += [f"| **{name}** | {format_value(alarms)} | {format_value(quiet)} |" for name, alarms, quiet in rows]
    return "\n".join(lines)


def format_rate(rate: float | None) -> str:
    """Return a share in percent with two decimals; "–" for an unknown one."""
    return format_percent(round(rate, 4)) if rate is not None and rate == rate else "–"
