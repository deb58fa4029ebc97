"""Declaration of the batch task."""

from core.messages import N_
from core.spec.task import Mode, Task
from core.tasks.batch.spec import BatchApplySpec, BatchSpec

RUN, OPTIONS = "core.tasks.batch.run:score_files", "core.tasks.batch.command:OPTIONS"

TASK = Task(
    name="batch",
    label=N_("Many series"),
    modes=(Mode(BatchSpec, RUN, "scale", options=OPTIONS), Mode(BatchApplySpec, RUN, "scale", options=OPTIONS)),
    result="core.tasks.batch.result:BatchScoringResult",
    card="core.tasks.batch.card:describe",
    report="core.tasks.batch.report:describe_report",
    json_fields="core.tasks.batch.command:to_answer",
    lines="core.tasks.batch.command:to_lines",
    icon="stacks",
    headline="series",
)
