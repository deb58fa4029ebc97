"""Counting call records in files, compared with plain pandas on the same file, and the memory of 50 million records.

Each side has its own process. Both give the counts per trunk and quarter-hour, which are compared.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from benchmarks.report import ResultLine, build_figure, build_ratio, peak_mb

CSV_RECORDS, RECORDS, MANY_RECORDS = 1_000_000, 40_000_000, 50_000_000
TRUNKS, DAYS = 200, 14
REPETITIONS = 3
MAX_PEAK_MB = 1500
INTERVAL = pd.Timedelta("15min")


def main() -> list[ResultLine]:
    """Compare the sides on a CSV and a Parquet file, then count the largest file."""
    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        lines = []
        for name, records, repetitions in (("calls.csv", CSV_RECORDS, REPETITIONS), ("calls.parquet", RECORDS, 1)):
            path = Path(folder) / name
            write_records(path, records)
            lines += _compare_sides(path, repetitions)
            path.unlink()
        path = Path(folder) / "many.parquet"
        write_records(path, MANY_RECORDS)
        result = _in_child("vigie", path)
    speed = f"{result['records'] / result['seconds']:,.0f} records/s"
    return [
        *lines,
        build_figure(
            f"peak memory of {result['records']:,.0f} records, Parquet, {speed}", [result["peak_mb"]], "MB", MAX_PEAK_MB
        ),
    ]


def _compare_sides(path: Path, repetitions: int) -> list[ResultLine]:
    path.read_bytes()  # into the page cache, for both sides
    results = [{side: _in_child(side, path) for side in ("vigie", "pandas")} for _ in range(repetitions)]
    for result in results:
        assert result["vigie"]["sums"] == result["pandas"]["sums"], result
    values = {
        figure: {side: [result[side][figure] for result in results] for side in results[0]}
        for figure in ("records_per_s", "peak_mb")
    }
    speed = build_ratio(
        f"{path.suffix}, {results[0]['vigie']['records']:,.0f} records: pandas : Vigie",
        [result["pandas"]["seconds"] for result in results],
        [result["vigie"]["seconds"] for result in results],
    )
    ratio = float(speed.result.split()[0])
    return [
        ResultLine(speed.measured, speed.result, speed.spread, speed.basis, "≥ 5 x", "met" if ratio >= 5 else "MISSED"),
        build_figure("    records per second", values["records_per_s"]["vigie"], "/s"),
        build_ratio(
            "    peak memory, Vigie : pandas",
            values["peak_mb"]["vigie"],
            values["peak_mb"]["pandas"],
            unit="MB",
            target=0.05 if path.suffix == ".parquet" else None,
        ),
    ]


def write_records(path: Path, count: int) -> None:
    """Write about `count` records of two weeks on 200 trunks, as Parquet or CSV."""
    from core.data.call_records.simulator import CallSimulator

    mean_size = 0.5  # of a trunk, relative to the first
    simulator = CallSimulator(TRUNKS, DAYS, calls_per_hour=count / (TRUNKS * DAYS * 24 * mean_size))
    if path.suffix == ".parquet":
        simulator.write_parquet(path)
        return
    for number, records in enumerate(simulator.iter_records()):
        records.to_csv(path, index=False, mode="a", header=not number, date_format="%Y-%m-%dT%H:%M:%SZ")


# ---- sides ----------------------------------------------------------------------------------------------------------


def _in_child(side: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.call_records", side, str(path)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def measure(side: str, path: Path) -> dict[str, object]:
    """Return the seconds without imports, the peak memory in MB, the records, and sums of the counts."""
    import duckdb  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from core.data.call_records.buckets import build_counts
    from core.data.call_records.files import count_files

    began = time.perf_counter()
    if side == "vigie":
        count = count_files([path], INTERVAL, by_trunk=True)
        records = count.records
        counts = build_counts(count.buckets, INTERVAL, by_trunk=True)
    else:
        records, counts = count_with_pandas(path)
    seconds = time.perf_counter() - began
    sums = {name: round(float(counts[name].sum()), 3) for name in ("answered", "null_duration", "erlang", "ko_busy")}
    return {
        "seconds": seconds,
        "records_per_s": records / seconds,
        "peak_mb": peak_mb(),
        "records": records,
        "sums": sums,
    }


def count_with_pandas(path: Path) -> tuple[int, pd.DataFrame]:
    """Return the number of records and their counts, as an analyst would write it: the same checks and columns."""
    times = ["Call_Start_Time", "Call_End_Time"]
    records = pd.read_csv(path, parse_dates=times) if path.suffix == ".csv" else pd.read_parquet(path)
    read = len(records)
    records = records[records["Call_Start_Time"].notna() & (records["DURATION"] >= 0)]
    records = records.drop_duplicates(["CDR_ID", "Call_Start_Time"])
    records["timestamp"] = records["Call_Start_Time"].dt.floor(INTERVAL)
    keys = ["ORIG_T1T7", "timestamp"]
    answered = records[~records["null_duration"]].groupby(keys, observed=True).size()
    failed = records[records["null_duration"]]
    causes = failed.groupby([*keys, "rc_group"], observed=True).size().unstack(fill_value=0)
    counts = pd.DataFrame({"answered": answered, "null_duration": failed.groupby(keys, observed=True).size()})
    counts = counts.join(causes.rename(columns=lambda cause: f"ko_{cause.lower()}"))
    erlang = _sum_seconds(records) / INTERVAL.total_seconds()
    counts = counts.join(erlang.rename("erlang"), how="outer").fillna(0)
    counts["ccr"] = counts["answered"] / (counts["answered"] + counts["null_duration"])
    return read, counts


def _sum_seconds(records: pd.DataFrame) -> pd.Series:
    """Return the seconds of calls per trunk and interval; each turn takes the part in one interval of a call."""
    sums = []
    rest = records[["ORIG_T1T7", "timestamp", "Call_Start_Time", "Call_End_Time"]]
    while len(rest):
        ends = rest["timestamp"] + INTERVAL
        parts = (rest["Call_End_Time"].clip(upper=ends) - rest["Call_Start_Time"]).dt.total_seconds()
        sums.append(parts.groupby([rest["ORIG_T1T7"], rest["timestamp"]], observed=True).sum())
        rest = rest.assign(timestamp=ends, Call_Start_Time=ends)[rest["Call_End_Time"] > ends]
    return pd.concat(sums).groupby(level=[0, 1], observed=True).sum()


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
