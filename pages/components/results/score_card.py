"""Score card: detectors, random scores and simple baselines, evaluated on the same rows and labels."""

import pandas as pd
import streamlit as st
from babel import numbers

from core.spec.metric import SCORE_CARD_METRICS, Metric
from core.spec.task import get_metric
from core.tasks.comparison.labels import label_line
from core.tasks.comparison.result import HEADLINE_METRIC, DetectorComparison
from core.tasks.sequences.result import SequenceDetection
from pages.components.i18n import _, format_value, get_language
from pages.components.markdown import escape_markdown
from pages.components.results.run_widgets import show_cost, show_record
from pages.components.term_help import link_label

STRUCK_METRIC = "pa_f1"  # struck through, and never marked as best
METRIC_COLUMNS = (*SCORE_CARD_METRICS, "vus_roc", "hit_100", "seconds", STRUCK_METRIC)


def show(detection: SequenceDetection) -> None:
    """Show the score card of one result, and the best detector."""
    st.markdown(f"**{name_winner(detection.card)}**")
    show_table(detection.card)
    st.caption(explain_columns(detection.card))
    if not detection.has_train_rows:
        st.caption(
            _("The model comes from another run. The baselines are trained on the rows on which they are evaluated.")
        )


def show_comparison(comparison: DetectorComparison, run: str) -> None:
    """Show the score card of several quick detectors."""
    st.header(_("Comparison of detectors"))
    st.markdown(f"**{name_winner(comparison.card)}**")
    if comparison.injected_count:
        st.info(
            _(
                "The data have no labels. {count} anomalies are injected into {copies} copies "
                "of the rows of {entity}: spikes, level shifts, drifts, stuck values, and "
                "values of other rows. The ranking is valid for injected anomalies only."
            ).format(
                count=format_value(comparison.injected_count),
                copies=format_value(comparison.copy_count),
                entity=escape_markdown(comparison.entity),
            ),
            icon=":material/science:",
        )
    show_table(comparison.card)
    st.caption(
        _(
            "{entity}: {train_rows} training rows, {test_rows} test rows. Every detector has its default settings."
        ).format(
            entity=escape_markdown(comparison.entity),
            train_rows=format_value(comparison.train_rows),
            test_rows=format_value(comparison.test_rows),
        )
        + " "
        + explain_columns(comparison.card)
    )
    with st.container(horizontal=True, key="result-figures"):
        show_cost(run)
    show_record(run)


def name_winner(card: pd.DataFrame) -> str:
    """Return a sentence with the best line by VUS-PR, and the second best."""
    from core.tasks.sequences.evaluation import BASELINE_DETECTORS

    duplicate_baselines = [line for line, detector in BASELINE_DETECTORS.items() if detector.name in set(card["line"])]
    ranking = card[~card["line"].isin(duplicate_baselines)].sort_values(HEADLINE_METRIC, ascending=False, kind="stable")
    first, second = ranking.iloc[0], ranking.iloc[min(1, len(ranking) - 1)]
    return _("Best: {first} (VUS-PR {value}). Second: {second} ({other}).").format(
        first=_name_line(str(first["line"])),
        value=format_value(round(float(first[HEADLINE_METRIC]), 3)),
        second=_name_line(str(second["line"])),
        other=format_value(round(float(second[HEADLINE_METRIC]), 3)),
    )


def show_table(card: pd.DataFrame) -> None:
    """Show one row per detector or baseline; the best value of a column is bold, point-adjusted F1 struck through."""
    metrics = [get_metric(name) for name in METRIC_COLUMNS if name in card]
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
    rows = [[_("Method"), *map(_name_metric, metrics)], ["---", *["---:"] * len(metrics)], *lines]
    st.markdown("\n".join("| " + " | ".join(cells) + " |" for cells in rows))


def _name_metric(metric: Metric) -> str:
    """Return the heading of a metric, with its unit unless the label contains it."""
    label = f"{_(metric.label)}, {_(metric.unit)}" if metric.unit not in ("", "s") else _(metric.label)
    return f"~~{label}~~" if metric.name == STRUCK_METRIC else link_label(metric.name, label)


def _name_line(name: str) -> str:
    """Return the label of a detector or a baseline."""
    return _(label_line(name))


def _format_cell(metric: Metric, value: float, best: float | None) -> str:
    if value != value:
        return "–"
    pattern = "#,##0.0" if metric.higher_is_better is False else "0.000"
    number = numbers.format_decimal(value, format=pattern, locale=get_language())
    if metric.name == STRUCK_METRIC:
        return f"~~{number}~~"
    return f"**{number}**" if value == best else number


def explain_columns(card: pd.DataFrame) -> str:
    """Return the limits of the columns that a reader has to know."""
    sentences = [_("Each F1 uses its own best threshold, chosen with the labels.")]
    sentences.append(
        _("VUS window: {window} rows. Values with other windows are not comparable.").format(
            window=format_value(int(card["window"].iloc[0]))
        )
    )
    random_scores = card.loc[card["line"] == "random", STRUCK_METRIC]
    if len(random_scores):
        sentences.append(
            _(
                "Point-adjusted F1 is struck through: one flagged row makes a whole event count as found, so that "
                "random scores can reach high values (here {value})."
            ).format(value=format_value(round(float(random_scores.iloc[0]), 3)))
        )
    return " ".join(sentences)
