"""Score card: detectors, random scores and simple baselines, evaluated on the same rows and labels."""

import pandas as pd
import streamlit as st
from babel import numbers

from core.messages import N_
from core.spec.metric import SCORE_CARD, Metric
from core.spec.task import get_metric
from core.tasks.comparison.result import HEADLINE, DetectorComparison
from core.tasks.sequences.result import SequenceDetection
from pages.components.i18n import _, language, shown
from pages.components.results.run_widgets import cost, record

STRUCK = "pa_f1"  # struck through, and never marked as best
COLUMNS = (*SCORE_CARD, "vus_roc", "hit_100", "seconds", STRUCK)
BASELINE_WORDS = {
    "random": N_("random scores"),
    "mean_distance": N_("distance to the mean (baseline)"),
    "pca": N_("PCA residual (baseline)"),
    "moving_mean": N_("moving mean (baseline)"),
}


def show(detection: SequenceDetection) -> None:
    """Show the score card of one result, and the best detector."""
    st.markdown(f"**{_name_winner(detection.card)}**")
    _show_table(detection.card)
    st.caption(_explain_columns(detection.card))
    if not detection.learnt_here:
        st.caption(_("The model comes from another run; the lines beside it learnt from the rows that they judge."))


def show_comparison(comparison: DetectorComparison, run: str) -> None:
    """Show the score card of several quick detectors."""
    st.subheader(_("Detectors compared"))
    st.markdown(f"**{_name_winner(comparison.card)}**")
    if comparison.injected:
        st.info(
            _(
                "No labels: {count} anomalies were planted in {copies} copies of the rows of {entity} "
                "(spikes, shifts, drifts, frozen and strange stretches). The order tells of planted anomalies "
                "alone."
            ).format(count=shown(comparison.injected), copies=shown(comparison.copies), entity=comparison.entity),
            icon=":material/science:",
        )
    _show_table(comparison.card)
    st.caption(
        _("{entity}: learnt from {learnt} rows, judged on {judged}; every detector with its default settings.").format(
            entity=comparison.entity, learnt=shown(comparison.train_rows), judged=shown(comparison.test_rows)
        )
        + " "
        + _explain_columns(comparison.card)
    )
    with st.container(horizontal=True, key="result-figures"):
        cost(run)
    record(run)


def _name_winner(card: pd.DataFrame) -> str:
    """Return a sentence with the best line by VUS-PR, and the second best."""
    from core.tasks.sequences.evaluation import BASELINE_DETECTORS

    itself = [line for line, detector in BASELINE_DETECTORS.items() if detector.name in set(card["line"])]
    ordered = card[~card["line"].isin(itself)].sort_values(HEADLINE, ascending=False, kind="stable")
    first, second = ordered.iloc[0], ordered.iloc[min(1, len(ordered) - 1)]
    return _("{first} comes first: VUS-PR {value}, before {second} with {other}.").format(
        first=_name_line(str(first["line"])),
        value=shown(round(float(first[HEADLINE]), 3)),
        second=_name_line(str(second["line"])),
        other=shown(round(float(second[HEADLINE]), 3)),
    )


def _show_table(card: pd.DataFrame) -> None:
    """Show one row per detector or baseline; the best value of a column is bold, point-adjusted F1 struck through."""
    metrics = [get_metric(name) for name in COLUMNS if name in card]
    best = {
        metric.name: card[metric.name].max() if metric.higher_is_better else card[metric.name].min()
        for metric in metrics
        if metric.direction
    }
    lines = [
        [
            _name_line(str(line["line"])),
            *(_format_cell(metric, float(line[metric.name]), best.get(metric.name)) for metric in metrics),
        ]
        for line in card.to_dict("records")
    ]
    rows = [[_("Line"), *map(_name_metric, metrics)], ["---", *["---:"] * len(metrics)], *lines]
    st.markdown("\n".join("| " + " | ".join(cells) + " |" for cells in rows))


def _name_metric(metric: Metric) -> str:
    """Return the heading of a metric, with its unit unless the label contains it."""
    label = f"{_(metric.label)}, {_(metric.unit)}" if metric.unit not in ("", "s") else _(metric.label)
    return f"~~{label}~~" if metric.name == STRUCK else label


def _name_line(name: str) -> str:
    """Return the label of a detector or a baseline."""
    from core.tasks.sequences.spec import detectors

    if name in BASELINE_WORDS:
        return _(BASELINE_WORDS[name])
    known = detectors()
    return _(known[name].label) if name in known else name


def _format_cell(metric: Metric, value: float, best: float | None) -> str:
    if value != value:
        return "–"
    pattern = "#,##0.0" if metric.higher_is_better is False else "0.000"
    number = numbers.format_decimal(value, format=pattern, locale=language())
    if metric.name == STRUCK:
        return f"~~{number}~~"
    return f"**{number}**" if value == best else number


def _explain_columns(card: pd.DataFrame) -> str:
    """Return the limits of the columns that a reader has to know."""
    said = [_("Every F1 is at its own best threshold, which the labels gave away.")]
    said.append(
        _("Window of VUS: {window} rows; values with other windows cannot be compared.").format(
            window=shown(int(card["window"].iloc[0]))
        )
    )
    random = card.loc[card["line"] == "random", STRUCK]
    if len(random):
        said.append(
            _("Point-adjusted F1 is struck through: random scores reach {value} here.").format(
                value=shown(round(float(random.iloc[0]), 3))
            )
        )
    return " ".join(said)
