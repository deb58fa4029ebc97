"""Run card of the comparison task."""

from core.messages import N_, Text
from core.runs.card_data import CardData, build_score_card
from core.runs.card_model import Picture
from core.tasks.comparison.result import HEADLINE, DetectorComparison


def describe(comparison: DetectorComparison) -> CardData:
    """Return the metrics of every detector and baseline, and the counts of rows and injected anomalies."""
    best = {str(line["line"]): float(line[HEADLINE]) for line in comparison.card.to_dict("records")}
    return CardData(
        files=comparison.data.files,
        score_card=build_score_card(comparison.card),
        counts={
            "rows_fitted": comparison.train_rows,
            "rows_judged": comparison.test_rows,
            "planted": comparison.injected,
            "copies": comparison.copies,
        },
        picture=Picture("bars", Text(N_("VUS-PR of each line")), tuple(best), {HEADLINE: tuple(best.values())}),
    )
