"""Report of many series: what was scored, what was skipped, and where the scores are."""

from core.messages import N_, Message
from core.phrases import to_percent
from core.runs.report_content import EventList, KeyFigure, ReportContent, ReportEvent
from core.tasks.batch.result import BatchScoringResult


def describe_report(result: BatchScoringResult, rows: None) -> ReportContent:
    """Return the sections of the report; the scores of single series are files in the output folder."""
    flagged = to_percent(result.anomalies / max(result.rows, 1))
    return ReportContent(
        summary=(
            Message(
                N_("Series: {series}, rows: {rows}. {share} of the rows are flagged."),
                {"series": result.series, "rows": result.rows, "share": flagged},
            ),
        ),
        key_figures=(
            KeyFigure(Message(N_("Series")), result.series),
            KeyFigure(
                Message(N_("Rows flagged")), result.anomalies, Message(N_("of {rows} evaluated"), {"rows": result.rows})
            ),
            KeyFigure(Message(N_("Skipped files")), result.files_skipped),
            KeyFigure(Message(N_("Series per second")), round(result.series_per_second, 1)),
        ),
        events=EventList(
            Message(N_("Skipped files")),
            tuple(
                ReportEvent(Message("{file}", {"file": file}), (Message("{reason}", {"reason": reason}),))
                for file, reason in result.skipped
            ),
            result.files_skipped,
            Message(N_("No file was skipped.")),
        ),
        notes=(
            *result.notes,
            Message(
                N_("The scores are in {folder}. The same command adds only missing scores to this folder."),
                {"folder": result.spec.out},
            ),
        ),
    )
