"""A score card on screen: detectors beside random scores and simple baselines, on the same rows and labels."""

import pandas as pd
import streamlit as st
from babel import numbers

from core.tasks.comparison.result import HEADLINE, Comparison
from core.tasks.sequences.result import SequenceDetection
from pages.components.i18n import _, language, shown
from pages.components.results.run_widgets import cost, record

METRICS = (
    "f1",
    "auc_pr",
    "vus_pr",
    "auc_roc",
    "vus_roc",
    "event_f1",
    "affiliation_f1",
    "delay",
    "hit_100",
    "seconds",
    "pa_f1",
)
LOWER = ("delay", "seconds")  # is better
STRUCK = "pa_f1"  # no line is ever best by it
BASELINES = {
    "pca": "pca-residual",
    "mean_distance": "mean-distance",
    "moving_mean": "moving-mean",
}  # and the detectors they are


def show(found: SequenceDetection) -> None:
    """The card of one result, and which line comes first."""
    st.markdown(f"**{_winner(found.card)}**")
    _table(found.card)
    st.caption(_about(found.card))
    if found.question.fitted_by:
        st.caption(_("The model comes from another run; the lines beside it learnt from the rows that they judge."))


def comparison(found: Comparison, run: str) -> None:
    """Which of the quick detectors sees most."""
    asked = found.question
    st.subheader(_("Detectors compared"))
    st.markdown(f"**{_winner(found.card)}**")
    if asked.planted:
        st.info(
            _(
                "No labels: {count} anomalies were planted in {copies} copies of the rows of {entity} "
                "(spikes, shifts, drifts, frozen and strange stretches). The order tells of planted anomalies "
                "alone."
            ).format(count=shown(asked.planted), copies=shown(asked.copies), entity=asked.entity),
            icon=":material/science:",
        )
    _table(found.card)
    st.caption(
        _("{entity}: learnt from {learnt} rows, judged on {judged}; every detector with its default settings.").format(
            entity=asked.entity, learnt=shown(asked.learnt), judged=shown(asked.judged)
        )
        + " "
        + _about(found.card)
    )
    with st.container(horizontal=True, key="result-figures"):
        cost(run)
    record(run)


def _winner(card: pd.DataFrame) -> str:
    """Which line is first by VUS-PR, and by how much."""
    itself = [line for line, detector in BASELINES.items() if detector in set(card["line"])]
    ordered = card[~card["line"].isin(itself)].sort_values(HEADLINE, ascending=False, kind="stable")
    first, second = ordered.iloc[0], ordered.iloc[min(1, len(ordered) - 1)]
    return _("{first} comes first: VUS-PR {value}, before {second} with {other}.").format(
        first=_line(str(first["line"])),
        value=shown(round(float(first[HEADLINE]), 3)),
        second=_line(str(second["line"])),
        other=shown(round(float(second[HEADLINE]), 3)),
    )


def _table(card: pd.DataFrame) -> None:
    """A line each, the best of every column in bold; point-adjusted F1 struck through."""
    metrics = [name for name in METRICS if name in card]
    best = {name: card[name].min() if name in LOWER else card[name].max() for name in metrics if name != STRUCK}
    heads = _heads()
    lines = [
        [_line(str(line["line"])), *(_cell(name, float(line[name]), best.get(name)) for name in metrics)]
        for line in card.to_dict("records")
    ]
    rows = [[_("Line"), *(heads[name] for name in metrics)], ["---", *["---:"] * len(metrics)], *lines]
    st.markdown("\n".join("| " + " | ".join(cells) + " |" for cells in rows))


def _heads() -> dict[str, str]:
    return {
        "f1": "F1",
        "auc_pr": "AUC-PR",
        "vus_pr": "VUS-PR",
        "auc_roc": "AUC-ROC",
        "vus_roc": "VUS-ROC",
        "event_f1": _("F1, events"),
        "affiliation_f1": _("F1, affiliation"),
        "delay": _("Delay, rows"),
        "hit_100": "HitRate@100 %",
        "seconds": _("Seconds"),
        STRUCK: "~~" + _("F1, point-adjusted") + "~~",
    }


def _line(name: str) -> str:
    """A detector or a baseline in words."""
    from core.tasks.sequences.run import detectors

    beside = {
        "random": _("random scores"),
        "mean_distance": _("distance to the mean (baseline)"),
        "pca": _("PCA residual (baseline)"),
        "moving_mean": _("moving mean (baseline)"),
    }
    known = detectors()
    return beside.get(name) or (_(known[name].label) if name in known else name)


def _cell(name: str, value: float, best: float | None) -> str:
    if value != value:
        return "–"
    written = numbers.format_decimal(value, format="#,##0.0" if name in LOWER else "0.000", locale=language())
    if name == STRUCK:
        return f"~~{written}~~"
    return f"**{written}**" if value == best else written


def _about(card: pd.DataFrame) -> str:
    """What a reader has to know of the columns."""
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
