"""Declaration of the comparison task. It shares the page and the command of the sequences task."""

from core.messages import N_
from core.spec.task import Mode, Task
from core.tasks.comparison.spec import ComparisonSpec

TASK = Task(
    name="comparison",
    label=N_("Comparison of detectors"),
    modes=(Mode(ComparisonSpec, "core.tasks.comparison.run:compare", "sequences compare"),),
    result="core.tasks.comparison.result:DetectorComparison",
    card="core.tasks.comparison.card:describe",
    report="core.tasks.comparison.report:describe_report",
    json_fields="core.tasks.comparison.command:to_answer",
    lines="core.tasks.comparison.command:to_lines",
    page="sequences",
    action=N_("Compare detectors"),
    icon="leaderboard",
    headline="rows_scored",
)
