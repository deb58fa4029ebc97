"""Runner of the benchmarks, each in its own process so that no benchmark warms up another."""

import subprocess
import sys
from importlib import import_module

from benchmarks.report import print_table

BENCHMARKS = (
    "reading",
    "intake",
    "doctor_recall",
    "detection",
    "known_anomalies",
    "gas_incidents",
    "day_faults",
    "row_detectors",
    "forecasting",
    "forecast_default",
    "forecast_scale",
    "forecast_intervals",
    "forecast_alarms",
    "day_shapes",
    "intervals",
    "interval_events",
    "forests",
    "first_page",
    "click_to_figure",
    "page_weight",
    "clustering",
    "sequences",
    "alarm_promises",
    "event_merging",
    "series_detectors",
    "sgmvrnn",
    "sgmvrnn_backward",
    "sgmvrnn_accuracy",
    "images_speed",
    "scale",
    "scale_intervals",
    "call_records",
    "analyst_tasks",
    "call_times",
    "analyst_load",
    "server_memory",
    "uploads",
    "watch_replay",
    "faults",
    "watch_delay",
    "watch_ticks",
    "watch_kills",
)
OPTION_NAMES = ("compiled", "departures")  # read by sgmvrnn_backward and sgmvrnn_accuracy


def main(names: list[str]) -> int:
    """Run the benchmarks `names`; return the number that ended with an error."""
    names = [name for name in names if name not in OPTION_NAMES]
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"No benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    if len(names) == 1:
        module = import_module(f"benchmarks.{names[0]}")
        print_table(module.__doc__.splitlines()[0], module.main())
        return 0
    runs = [subprocess.run([sys.executable, "-m", "benchmarks", name], check=False) for name in names or BENCHMARKS]
    return sum(run.returncode != 0 for run in runs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
