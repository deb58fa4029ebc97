"""Commands that apply a saved model to another file, as the README shows them."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.settings import ROOT
from tests.conftest import Command
from tests.support.commands import read_json_output

WriteSeries = Callable[[str, str, int], Path]


@pytest.fixture
def write_hours(tmp_path: Path) -> WriteSeries:
    """Writer of a file with one nameless series: its name, its first day, and its number of days."""

    def write_hours(name: str, first: str, days: int) -> Path:
        times = pd.date_range(first, periods=24 * days, freq="h")
        noise = np.random.default_rng(days).normal(0, 2, len(times))
        load = 100 + 20 * np.sin(np.arange(len(times)) * 2 * np.pi / 24) + noise
        table = pd.DataFrame({"time": times, "load (MWh)": load.round(2)})
        table.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return write_hours


def test_readme_applies_model_of_may_to_june(vigie: Command, write_hours: WriteSeries, tmp_path: Path) -> None:
    """The two lines of the README with `detect`, as they stand there."""
    write_hours("may.csv", "2024-05-01", 31)
    june = write_hours("june.csv", "2024-06-01", 30)
    table = pd.read_csv(june)
    table.loc[400, "load (MWh)"] = 500.0
    table.to_csv(june, index=False)
    lines = [
        line.partition("python -m core ")[2] for line in (ROOT / "README.md").read_text().splitlines() if ".csv" in line
    ]
    fit, apply = (next(line for line in lines if line.startswith(f"detect {name}")) for name in ("may", "june"))

    def locate(line: str, run_id: str = "") -> list[str]:
        words = shlex.split(line.replace("RUN_ID", run_id))
        return [str(tmp_path / word) if word.endswith(".csv") else word for word in words]

    run_id = read_json_output(vigie(*locate(fit), "--json"))["run_id"]
    answer = read_json_output(vigie(*locate(apply, run_id), "--json"))
    scores = pd.read_csv(tmp_path / "june-scores.csv")
    assert set(scores["entity"]) == {"series"}
    assert len(scores) == 720
    assert scores.sort_values("score").iloc[-1]["time"] == table.loc[400, "time"]
    assert answer["metrics"]["anomalies"] >= 1


@pytest.mark.parametrize(
    ("fit", "apply"),
    [
        (("sequences", "train", "--detector", "pca-residual"), ("sequences", "score")),
        (("forecast", "--forecaster", "seasonal-naive", "--horizon", "2"), ("forecast",)),
        (("intervals", "--forecaster", "seasonal-naive"), ("intervals",)),
    ],
    ids=["sequences", "forecast", "intervals"],
)
def test_model_of_nameless_file_applies_to_file_with_other_name(
    vigie: Command, write_hours: WriteSeries, fit: tuple[str, ...], apply: tuple[str, ...]
) -> None:
    days = 300 if fit[0] == "forecast" else 60
    first, later = write_hours("spring.csv", "2024-01-01", days), write_hours("summer.csv", "2024-01-22", days)

    def build(words: tuple[str, ...], file: Path) -> list[object]:
        count = 2 if words[0] == "sequences" else 1
        return [*words[:count], file, *words[count:]]

    run_id = read_json_output(vigie(*build(fit, first), "--json"))["run_id"]
    process = vigie(*build(apply, later), "--model", run_id, "--json")
    assert process.returncode == 0, process.stderr
    assert "without the entity" not in process.stderr
    notes = " ".join(json.loads(process.stdout).get("notes", []))
    assert "no name" not in notes, "both files are nameless: there is nothing to tell"
