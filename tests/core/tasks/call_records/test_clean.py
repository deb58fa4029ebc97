"""Cleaning of counts as a run: the worked example, the table to export, the stored dataset, the command."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.data.cleaning import CleanedSeries
from core.data.dataset import Dataset, make_index
from core.data.ingest.loading import load
from core.data.quality.repairs import apply_repairs
from core.errors import OptionError
from core.runs.stored_runs import load_task_result
from core.tasks.call_records.clean import clean
from core.tasks.call_records.clean_result import CleaningResult
from core.tasks.call_records.clean_spec import CleanSpec
from core.tasks.call_records.figures import draw_cleaning, draw_kpis
from core.tasks.call_records.kpis import has_call_counts, sum_counts, summarise_trunks
from core.workspace import Workspace
from tests.conftest import Command

BOB = Actor("bob", "tests")
QUARTER = pd.Timedelta(minutes=15)
EXAMPLE = [12000.0, 14621.0, 17761.0, 21014.0, 26387.0, 22866.0]


def make_counts(trunks: int = 2, weeks: int = 3) -> Dataset:
    """Return counts of trunks; the second week has no row, and T1 one spike in the first."""
    times = pd.date_range("2020-08-31", periods=weeks * 672, freq=QUARTER)
    shape = 100 + 80 * np.sin(2 * np.pi * np.arange(len(times)) / 96)
    frames = []
    for number in range(1, trunks + 1):
        total = np.random.default_rng(number).poisson(shape).astype(float)
        total[300] = 3000.0 if number == 1 else total[300]
        answered = np.floor(total * 0.9)
        table = {"answered": answered, "null_duration": total - answered, "total": total, "erlang": total / 5}
        table |= {"ccr": answered / np.maximum(total, 1), "ko_busy": total - answered}
        frame = pd.DataFrame(table, make_index([f"T{number}"] * len(times), times))
        frames.append(frame.drop(frame.index[672:1344]))
    return Dataset(pd.concat(frames), "tidy_series", step=QUARTER, zone="UTC", files=("counts.csv",))


def run_clean(spec: CleanSpec, dataset: Dataset, workspace: Workspace) -> tuple[CleaningResult, Any]:
    return clean(spec, dataset, workspace=workspace, actor=BOB)


def test_run_stores_result_and_cleaned_dataset(workspace: Workspace) -> None:
    dataset = make_counts()
    result, run = run_clean(CleanSpec(), dataset, workspace)
    assert run.metrics["spikes"] == 1
    assert run.metrics["imputed"] == 2 * 672
    assert run.metrics["still_missing"] == 0
    assert 0 < run.metrics["lowest_threshold"] <= run.metrics["highest_threshold"] < 2000
    stored = load_task_result(run.id, workspace)
    assert isinstance(stored, CleaningResult)
    assert stored.to_frame().equals(result.to_frame())
    cleaned = workspace.datasets.load(stored.made_dataset)
    assert cleaned.source == dataset.digest
    assert CleanedSeries.from_dataset(cleaned, "total").is_imputed.sum() == 2 * 672
    assert apply_repairs(cleaned.recipe, workspace.datasets.load(cleaned.source)).digest == cleaned.digest


def test_table_has_a_trunk_column_only_for_several(workspace: Workspace) -> None:
    columns = ["timestamp", "total", "cleaned", "is_spike", "is_imputed"]
    one, _ = run_clean(CleanSpec(entities=("T1",)), make_counts(), workspace)
    assert list(one.to_frame()) == columns
    several, _ = run_clean(CleanSpec(spike_column="is_outlier"), make_counts(), workspace)
    assert list(several.to_frame()) == ["timestamp", "trunk", "total", "cleaned", "is_outlier", "is_imputed"]
    assert str(one.to_frame()["timestamp"].dt.tz) == "UTC"


def test_unknown_column_and_infinite_threshold_are_refused(workspace: Workspace) -> None:
    with pytest.raises(OptionError, match="--value = 'calls'"):
        run_clean(CleanSpec(value="calls"), make_counts(), workspace)
    with pytest.raises(OptionError, match="not a finite number"):
        CleanSpec(spike_threshold=float("inf")).check()


def test_recipe_holds_only_what_differs_from_the_defaults() -> None:
    assert CleanSpec().to_repair("total").settings == {"columns": ["total"]}
    spec = replace(CleanSpec(), spike_threshold=7000.0, fill_from="none")
    assert spec.to_repair("total").settings == {"columns": ["total"], "spike_threshold": 7000.0, "fill_from": "none"}


@pytest.mark.parametrize("spike_column", ["is_spike", "is_outlier"])
def test_command_gives_the_worked_example_and_reads_it_back(
    vigie: Command, tmp_path_factory: pytest.TempPathFactory, spike_column: str
) -> None:
    folder: Path = tmp_path_factory.mktemp("clean")
    times = pd.date_range("2020-08-31 06:00", periods=6, freq=QUARTER)
    pd.DataFrame({"timestamp": times, "total": EXAMPLE}).to_csv(folder / "counts.csv", index=False)
    options = ("--value", "total", "--spike-threshold", "7000", "--spike-column", spike_column, "--json")
    answer = vigie("calls", "clean", folder / "counts.csv", *options, "--out", folder / "clean.csv")
    assert answer.returncode == 0, answer.stderr
    table = pd.read_csv(folder / "clean.csv")
    assert list(table) == ["timestamp", "total", "cleaned", spike_column, "is_imputed"]
    assert table["cleaned"].tolist() == [12000.0, 14621.0, 17761.0, 21014.0, 21940.0, 22866.0]
    assert table["total"].tolist() == EXAMPLE
    cleaned = CleanedSeries.from_dataset(load([folder / "clean.csv"]), "total")
    assert cleaned.original.values.ravel().tolist() == EXAMPLE
    assert cleaned.values.ravel().tolist() == table["cleaned"].tolist()
    assert np.flatnonzero(cleaned.is_spike).tolist() == [4]


# ---- KPIs and figures -----------------------------------------------------------------------------------------------


def test_kpis_are_of_original_values_and_undefined_without_attempts() -> None:
    dataset = make_counts(trunks=1)
    silent = dataset.values.copy()
    silent[10, [0, 1, 2, 3, 5]] = 0.0
    silent[10, 4] = np.nan
    dataset = dataset.replace(frame=pd.DataFrame(silent, dataset.frame.index, dataset.columns))
    cleaned = apply_repairs([CleanSpec().to_repair("total")], dataset)
    assert has_call_counts(cleaned)
    table = sum_counts(cleaned)
    assert table["total"].max() == 3000
    assert np.isnan(table["ccr"].iloc[10])
    days = sum_counts(dataset, pd.Timedelta("1D"))
    assert days["total"].sum() == dataset.frame["total"].sum()
    assert days["ccr"].iloc[0] == pytest.approx(days["answered"].iloc[0] / days["total"].iloc[0])
    assert days["erlang"].iloc[1] == pytest.approx(dataset.frame["erlang"].iloc[96:192].mean())


def test_trunk_table_is_sorted_and_counts_silent_intervals() -> None:
    dataset = make_counts(trunks=3)
    values = dataset.values.copy()
    second = np.asarray(dataset.entity == "T2")
    values[np.flatnonzero(second)[:5]] = 0.0
    table = summarise_trunks(dataset.replace(frame=pd.DataFrame(values, dataset.frame.index, dataset.columns)))
    assert table["total"].is_monotonic_decreasing
    assert table.set_index("trunk")["silent"].to_dict() == {"T1": 0, "T2": 5, "T3": 0}
    assert set(table["cause"]) == {"busy"}


def test_figures_leave_gaps_where_nothing_is_known(workspace: Workspace) -> None:
    dataset = make_counts(trunks=1)
    result, _ = run_clean(CleanSpec(fill_from="none"), dataset, workspace)
    original, cleaned = draw_cleaning(result.rows, "").data[:2]
    assert np.isnan(original.y).any()
    assert np.isnan(cleaned.y).any()
    table = sum_counts(dataset)
    table.loc[5, "total"] = 0
    [line] = draw_kpis(table, ["total"], is_logarithmic=True).data
    assert np.isnan(line.y[5])
