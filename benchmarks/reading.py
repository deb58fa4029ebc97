"""Reading 200 MB of daily profiles, with and without the data doctor, compared with pandas.read_csv.

Each side has its own process.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.datasets import write_gas_days
from benchmarks.report import ResultLine, build_figure, build_ratio

SIZE_BYTES = 200 * 10**6
REPETITIONS = 5
SIDES = ("pandas", "load", "doctor")


def main() -> list[ResultLine]:
    """Compare the three sides."""
    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        path = Path(folder) / "profiles.csv"
        write_gas_days(path, SIZE_BYTES)
        path.read_bytes()  # into the page cache, for all sides
        results = [{side: _in_child(side, path) for side in SIDES} for _ in range(REPETITIONS)]
        megabytes = path.stat().st_size / 1e6
    seconds = {side: [result[side]["seconds"] for result in results] for side in SIDES}
    peak = {side: [result[side]["peak_mb"] for result in results] for side in SIDES}
    return [
        build_ratio("load : pandas.read_csv", seconds["load"], seconds["pandas"], target=1.0),
        build_ratio("load + doctor : pandas.read_csv", seconds["doctor"], seconds["pandas"], target=3.0),
        *(
            build_figure(
                f"peak memory, {side} ({megabytes:.0f} MB file)",
                peak[side],
                "MB",
                None if side == "pandas" else 4 * megabytes,
            )
            for side in SIDES
        ),
    ]


def _in_child(side: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reading", side, str(path)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def measure(side: str, path: Path) -> dict[str, float]:
    """Return the seconds without imports, and the peak memory of this process in MB with everything."""
    if side == "pandas":
        import pandas as pd

        began = time.perf_counter()
        pd.read_csv(path)
    else:
        from core.data.ingest.loading import load
        from core.data.quality.doctor import run_checks

        began = time.perf_counter()
        dataset = load([path])
        if side == "doctor":
            run_checks(dataset)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
