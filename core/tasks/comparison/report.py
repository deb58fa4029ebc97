"""Report of the comparison of detectors, of series or of rows: the winner, the score card, and what it is worth."""

from core.data.dataset import Dataset
from core.messages import N_, Message
from core.runs.report_content import KeyFigure, ReportContent, ReportFigure
from core.tasks.comparison.figures import draw_scores
from core.tasks.comparison.labels import label_line
from core.tasks.comparison.result import HEADLINE_METRIC, DetectorComparison


def describe_report(comparison: DetectorComparison, rows: Dataset | None) -> ReportContent:
    """Return the sections of the report; the rows are not used."""
    card, labels = comparison.card, {str(line): label_line(str(line)) for line in comparison.card["line"]}
    best = float(card[HEADLINE_METRIC].max())
    random_scores = card.loc[card["line"] == "random", HEADLINE_METRIC]
    return ReportContent(
        summary=(
            Message(N_("Best by VUS-PR: {names}."), {"names": Message(labels[comparison.winner])}),
            *_describe_labels(comparison),
        ),
        key_figures=(
            KeyFigure(
                Message(N_("Best VUS-PR")),
                best,
                Message(N_("random scores {value}"), {"value": round(float(random_scores.iloc[0]), 3)})
                if len(random_scores)
                else None,
            ),
            KeyFigure(Message(N_("Training rows")), comparison.train_rows),
            KeyFigure(Message(N_("Test rows")), comparison.test_rows),
        ),
        figures=(
            ReportFigure(
                Message(N_("VUS-PR of each detector and baseline")),
                lambda language: draw_scores(comparison, language.translate),
            ),
        ),
        certainty=(
            Message(N_("Each F1 uses its own best threshold, chosen with the labels.")),
            Message(
                N_("VUS window: {window} rows. Values with other windows are not comparable."),
                {"window": int(card["window"].iloc[0])},
            ),
        ),
        notes=(
            Message(
                N_("Compared on: {entity}. Every detector has its default settings."), {"entity": comparison.entity}
            ),
        ),
        line_labels=labels,
    )


def _describe_labels(comparison: DetectorComparison) -> tuple[Message, ...]:
    if not comparison.injected_count:
        return (Message(N_("The labels of the data decide.")),)
    return (
        Message(
            N_(
                "The data have no labels. {count} faults were planted in copies of the rows; the ranking is valid for "
                "planted faults only."
            ),
            {"count": comparison.injected_count},
        ),
    )
