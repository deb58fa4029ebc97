"""Calibrated intervals of 1,000 trunks in batches, on 8 weeks of quarter-hours: trunks per second and peak memory."""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet

from benchmarks.report import ResultLine

TRUNKS, WEEKS, WEEK_STEPS = 1000, 8, 672
WORKERS = (1, 2)
FAULT_STEPS, FAULTY_TRUNKS = 8, 40
POLL_INTERVAL_S = 0.2
MAX_WORKER_MB = 4000.0


def main() -> list[ResultLine]:
    """Judge the trunks by the command with 1 and with 2 workers, which must rank the same events first."""
    with TemporaryDirectory(prefix="vigie-bench-") as folder_name:
        folder = Path(folder_name)
        faulty = write_counts(folder / "counts.parquet")
        lines, seconds = [], dict[int, float]()
        for workers in WORKERS:
            seconds[workers], cpu_seconds, worker_mb = _run_command(folder, workers)
            lines += [
                ResultLine(
                    f"{TRUNKS:,} trunks, workers: {workers}",
                    f"{TRUNKS / seconds[workers]:.1f} trunks/s",
                    basis=f"{seconds[workers]:.0f} s with start and reading, {cpu_seconds:.0f} s of processor",
                ),
                ResultLine(
                    "    peak memory of a worker",
                    f"{worker_mb:,.0f} MB",
                    target=f"≤ {MAX_WORKER_MB:,.0f} MB",
                    verdict="met" if worker_mb <= MAX_WORKER_MB else "MISSED",
                ),
            ]
        return [*lines, _compare_runs(seconds), *_check_events(folder, faulty)]


def write_counts(path: Path) -> set[str]:
    """Write counts of calls, trunk after trunk; return the trunks with an outage of two hours in the last week."""
    random = np.random.default_rng(1)
    times = pd.date_range("2024-01-01", periods=WEEKS * WEEK_STEPS, freq="15min", tz="UTC")
    hours = np.asarray(times.hour + times.minute / 60)
    faulty = set(random.choice(TRUNKS, FAULTY_TRUNKS, replace=False).tolist())
    writer = None
    for number in range(TRUNKS):
        level, shift = np.exp(random.normal(3.5, 1)), random.normal(0, 1)
        usual = 0.1 + np.exp(-(((hours - 11 - shift) / 3) ** 2)) + 0.8 * np.exp(-(((hours - 16 - shift) / 3) ** 2))
        usual *= np.where(times.dayofweek < 5, 1.0, 0.2 if number % 2 else 0.9)
        total = random.poisson(usual * level)
        if number in faulty:
            start = len(times) - 3 * 96 + 44  # 11:00, three days before the end
            total[start : start + FAULT_STEPS] = 0
        answered = random.binomial(total, 0.92)
        columns = {"timestamp": times, "trunk": f"T{number:04d}", "answered": answered, "total": total}
        table = pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return {f"T{number:04d}" for number in faulty}


def _run_command(folder: Path, workers: int) -> tuple[float, float, float]:
    """Return the seconds of the command, those of its processors, and the highest memory of one of its workers in MB.

    Processor seconds after the last look at a process are missing, at most POLL_INTERVAL_S of each.
    """
    words = ["scale-intervals", "counts.parquet", "--out", f"out-{workers}", "--workers", str(workers)]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "VIGIE_DATA_DIR": str(folder / "data"),
        "MLFLOW_TRACKING_URI": "",
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    started, worker_mb, cpu_seconds = time.perf_counter(), 0.0, dict[int, float]()
    command = [sys.executable, "-m", "core", *words]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            for member in _list_family(process.pid):
                try:
                    times, peak_mb = member.cpu_times(), _read_peak_mb(member.pid)
                except (OSError, psutil.Error):  # it has ended
                    continue
                cpu_seconds[member.pid] = times.user + times.system
                worker_mb = max(worker_mb, peak_mb if member.pid != process.pid else 0.0)
            time.sleep(POLL_INTERVAL_S)
    if process.returncode:
        raise RuntimeError(f"the command ended with {process.returncode}")
    return time.perf_counter() - started, sum(cpu_seconds.values()), worker_mb


def _list_family(pid: int) -> list[psutil.Process]:
    """Return a process and all processes below it; nothing where it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _read_peak_mb(pid: int) -> float:
    """Return the peak memory of a process in MB; 0 for one that has ended and was not collected."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmHWM"))


def _compare_runs(seconds: dict[int, float]) -> ResultLine:
    first, last = min(seconds), max(seconds)
    return ResultLine(
        f"{first} worker : {last} workers",
        f"{seconds[first] / seconds[last]:.2f} x",
        basis=f"{seconds[first]:.0f} s : {seconds[last]:.0f} s",
    )


def _check_events(folder: Path, faulty: set[str]) -> list[ResultLine]:
    """Return the outages among the worst events, the share of points outside, and whether the runs agree."""
    tables = [pd.read_parquet(folder / f"out-{workers}" / "events.parquet") for workers in WORKERS]
    summary = pd.read_parquet(folder / f"out-{WORKERS[0]}" / "summary.parquet")
    worst = set(tables[0]["entity"].head(len(faulty)))
    outside = summary["anomalies"].sum() / summary["rows"].sum()
    return [
        ResultLine(f"outages among the {len(faulty)} worst events", f"{len(worst & faulty)} of {len(faulty)}"),
        ResultLine(
            "share of points outside, promised 5 %", f"{outside:.2%}", basis=f"{summary['rows'].sum():,} points"
        ),
        ResultLine("events", f"{len(tables[0]):,}", basis=f"the same with all workers: {tables[0].equals(tables[1])}"),
    ]
