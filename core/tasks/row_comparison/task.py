"""Declaration of the comparison of detectors of rows. It shares the page of the anomalies task."""

from core.messages import N_
from core.spec.task import Mode, Task
from core.tasks.row_comparison.spec import RowComparisonSpec

TASK = Task(
    name="row_comparison",
    label=N_("Comparison of detectors of rows"),
    modes=(Mode(RowComparisonSpec, "core.tasks.row_comparison.run:compare_rows", "compare-rows"),),
    result="core.tasks.row_comparison.result:RowComparison",
    card="core.tasks.comparison.card:describe",
    report="core.tasks.comparison.report:describe_report",
    json_fields="core.tasks.comparison.command:to_answer",
    lines="core.tasks.comparison.command:to_lines",
    page="anomalies",
    action=N_("Compare detectors"),
    icon="leaderboard",
    headline="rows_scored",
)
