"""Run card of the comparison task."""

from core.messages import N_, Message
from core.runs.card_data import CardData, build_score_card
from core.runs.card_model import Picture
from core.tasks.comparison.result import HEADLINE_METRIC, DetectorComparison


def describe(comparison: DetectorComparison) -> CardData:
    """Return the metrics of every detector and baseline, and the counts of rows and injected anomalies."""
    headline_by_name = {str(row["line"]): float(row[HEADLINE_METRIC]) for row in comparison.card.to_dict("records")}
    return CardData(
        files=comparison.data.files,
        score_card=build_score_card(comparison.card),
        counts={
            "rows_fitted": comparison.train_rows,
            "rows_scored": comparison.test_rows,
            "injected": comparison.injected_count,
            "copies": comparison.copy_count,
        },
        picture=Picture(
            "bars",
            Message(N_("VUS-PR of each detector and baseline")),
            tuple(headline_by_name),
            {HEADLINE_METRIC: tuple(headline_by_name.values())},
        ),
    )
