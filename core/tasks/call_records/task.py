"""Declaration of the call records task."""

from core.messages import N_
from core.spec.metric import Metric
from core.spec.query import Query
from core.spec.task import Mode, Task
from core.tasks.call_records.clean_spec import CleanSpec
from core.tasks.call_records.import_spec import ImportSpec

TASK = Task(
    name="call_records",
    label=N_("Call records"),
    modes=(
        Mode(
            ImportSpec,
            "core.tasks.call_records.import_run:import_records",
            "calls import",
            label=N_("Import"),
            result="core.tasks.call_records.import_result:ImportResult",
        ),
        Mode(
            CleanSpec,
            "core.tasks.call_records.clean:clean",
            "calls clean",
            result="core.tasks.call_records.clean_result:CleaningResult",
            action=N_("Use the cleaned data"),
        ),
    ),
    result="core.tasks.call_records.import_result:ImportResult",
    card="core.tasks.call_records.card:describe",
    report="core.tasks.call_records.report:describe_report",
    json_fields="core.tasks.call_records.command:to_answer",
    lines="core.tasks.call_records.command:to_lines",
    page="call_records",
    action=N_("Count"),
    icon="call",
    headline="calls",
    metrics=(
        Metric("records", N_("records")),
        Metric("rejected", N_("records that do not count"), higher_is_better=False),
        Metric("outside", N_("records outside the period"), higher_is_better=False),
        Metric("calls", N_("calls")),
        Metric("trunks", N_("trunks")),
        Metric("intervals", N_("intervals")),
        Metric("records_per_second", N_("records per second")),
        Metric("ccr", N_("call completion ratio")),
        Metric("spikes", N_("spikes"), higher_is_better=False),
        Metric("imputed", N_("filled values"), higher_is_better=False),
        Metric("still_missing", N_("values that stay missing"), higher_is_better=False),
        Metric("level_shifts", N_("level shifts"), higher_is_better=False),
        Metric("silent", N_("zeros taken as missing"), higher_is_better=False),
        Metric("threshold", N_("spike threshold")),
    ),
    queries=(
        Query(
            "preview_cleaning",
            "core.tasks.call_records.clean_spec:CleanSpec",
            "core.tasks.call_records.clean:preview_cleaning",
            "core.tasks.call_records.clean_result:CleaningResult",
        ),
    ),
)
