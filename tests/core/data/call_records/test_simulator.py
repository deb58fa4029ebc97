"""The simulator: rates, faults and labels."""

import numpy as np
import pandas as pd
import pytest

from core.data.call_records.buckets import ALL_TRUNKS, build_counts
from core.data.call_records.files import count_files
from core.data.call_records.simulator import CallSimulator, Fault, FaultKind

DAY = pd.Timedelta(days=1)
MONDAY = pd.Timestamp("2020-08-31")


def simulate(kind: FaultKind, trunk: str, start: str, length: str, days: int = 2) -> tuple[CallSimulator, pd.DataFrame]:
    begin = MONDAY + pd.Timedelta(start)
    fault = Fault(kind, trunk, begin, begin + pd.Timedelta(length))
    simulator = CallSimulator(trunks=2, days=days, calls_per_hour=400, faults=(fault,))
    return simulator, simulator.make_counts()


def split(counts: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """Return a column of the first trunk during the fault, and on the other day at the same times."""
    rows = counts[counts["trunk"] == "T001"]
    faulty = rows[rows["injected"] == 1]
    usual = rows[rows["timestamp"].isin(faulty["timestamp"] - DAY)]
    return faulty[column], usual[column]


def test_mean_rate_is_that_of_the_options() -> None:
    records = sum(len(records) for records in CallSimulator(trunks=1, days=7, calls_per_hour=400).iter_records())
    assert records / (7 * 24 * 400) == pytest.approx(1, abs=0.12)  # the size of a trunk varies by a tenth


def test_outage_has_no_calls() -> None:
    faulty, usual = split(simulate("outage", "T001", "34h", "2h")[1], "total")
    assert len(faulty) == 8
    assert faulty.sum() == 0
    assert usual.min() > 50


def test_ccr_drop_keeps_attempts() -> None:
    _, counts = simulate("ccr_drop", "T001", "34h", "2h")
    ccr, usual_ccr = split(counts, "ccr")
    total, usual_total = split(counts, "total")
    assert ccr.max() < 0.6 < 0.8 < usual_ccr.min()
    assert total.sum() == pytest.approx(usual_total.sum(), rel=0.1)


def test_spike_storm_marks_its_spikes() -> None:
    faulty, usual = split(simulate("spike_storm", "T001", "34h", "3h")[1], "total")
    assert len(faulty) == 4
    assert (faulty.to_numpy() > 2.5 * usual.to_numpy()).all()


def test_missing_week_has_no_records_of_any_trunk() -> None:
    simulator, counts = simulate("missing_week", ALL_TRUNKS, "7D", "7D", days=21)
    missing = counts[counts["injected"] == 1]
    assert len(missing) == 2 * 672
    assert missing["total"].sum() == 0
    assert simulator.labels["trunk"].tolist() == ["all"]


def test_slow_drift_grows() -> None:
    _, counts = simulate("slow_drift", "T001", "7D", "14D", days=21)
    rows = counts[counts["trunk"] == "T001"].set_index("timestamp")["total"]
    weeks = rows.groupby((rows.index - rows.index[0]) // (7 * DAY)).sum()
    assert weeks[1] / weeks[0] == pytest.approx(1.15, abs=0.05)
    assert weeks[2] / weeks[0] == pytest.approx(1.45, abs=0.05)


def test_parquet_file_gives_the_counts_of_the_simulator(tmp_path: object) -> None:
    simulator = CallSimulator(trunks=3, days=2, calls_per_hour=50)
    path = tmp_path / "calls.parquet"  # type: ignore[operator]
    records = simulator.write_parquet(path)
    count = count_files([path], pd.Timedelta("15min"))
    assert count.records == records
    counts = build_counts(count.buckets, pd.Timedelta("15min"), True, simulator.start, simulator.end)
    expected = simulator.make_counts().drop(columns="injected")
    np.testing.assert_array_equal(counts["erlang"], expected["erlang"])
    np.testing.assert_array_equal(counts["total"], expected["total"])
