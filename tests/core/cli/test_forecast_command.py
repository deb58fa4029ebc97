"""The command `python -m core forecast` in its own process."""

import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from core.__main__ import build_app
from core.cli.options import load_covariates
from core.runs.stored_runs import load_run
from core.workspace import Workspace
from tests.conftest import Command
from tests.support.commands import run_vigie
from tests.support.sample_series import make_calendar, make_consumption, make_temperatures

DAYS = 420


@pytest.fixture
def vigie(tmp_path: Path, workspace: Workspace) -> Command:
    """Runner of `python -m core …` on the data folder of the workspace."""
    return partial(run_vigie, tmp_path, MLFLOW_TRACKING_URI="")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Files of the daily consumption of two sites over 420 days, and of the weather for a week more."""
    amounts = make_consumption(DAYS, 2)
    days = make_calendar(DAYS)
    series = pd.concat(
        pd.DataFrame({"date": days, "site": site, "load (MWh)": amounts[:, n]}) for n, site in enumerate("ab")
    )
    series.to_csv(tmp_path / "load.csv", index=False)
    weather = pd.DataFrame({"date": make_calendar(DAYS + 7), "temperature": make_temperatures(DAYS + 7)})
    weather.to_csv(tmp_path / "weather.csv", index=False)
    return tmp_path / "load.csv", tmp_path / "weather.csv"


def test_forecast_command_prints_json_and_writes_table(
    vigie: Command, files: tuple[Path, Path], tmp_path: Path
) -> None:
    load, weather = files
    out = tmp_path / "forecast.csv"
    arguments = ("forecast", load, "--forecaster", "ridge", "--horizon", 2, "--covariates", weather)
    process = vigie(*arguments, "--set", "alpha=10", "--quantiles", "0.1,0.9", "--out", out, "--json")
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    names = {"run_id", "recorded", "metrics", "alarm_rates", "alarms", "notes", "seconds", "emissions_kg"}
    assert set(answer) == names
    figures = {
        "mae",
        "wape",
        "rmse",
        "r2",
        "mase",
        "skill_naive1",
        "skill_naive7",
        "quantile_loss",
        "mwql",
        "coverage",
        "width",
    }
    assert set(answer["metrics"]) == figures | {"steps"}
    assert set(answer["metrics"]["steps"]) == {"1", "2"}
    assert figures <= set(answer["metrics"]["steps"]["1"])
    assert 0 < answer["metrics"]["wape"] < 0.1
    steps = [answer["metrics"]["steps"][step]["wape"] for step in ("1", "2")]
    assert min(steps) <= answer["metrics"]["wape"] <= max(steps)
    assert answer["recorded"] is True
    assert any("The backtest uses the observed weather, as if every weather" in note for note in answer["notes"])
    rows = pd.read_csv(out)
    assert len(rows) == 2 * 2
    assert {"entity", "time", "step", "forecast", "q0.1", "q0.9", "naive1", "naive7", "assumed", "unit"} <= set(
        rows.columns
    )
    applied = vigie(
        "forecast", load, "--model", answer["run_id"], "--covariates", weather, "--out", tmp_path / "again.csv"
    )
    assert applied.returncode == 0, applied.stderr
    assert "days ahead" in applied.stdout
    assert "Backtest from" in applied.stdout
    assert pd.read_csv(tmp_path / "again.csv")["forecast"].tolist() == pytest.approx(rows["forecast"].tolist())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--forecaster", "oracle"], "seasonal-naive"),
        (["--horizon", "93"], "horizon = 93 is out of range. Accepted: 1 to 92"),
        (["--quantiles", "0.9,0.1"], "quantiles"),
        (["--quantiles", "most"], "quantiles"),
        (["--backtest-from", "spring"], "backtest_from"),
        (["--backtest-from", "NaT"], "backtest_from"),
        (["--backtest-from", "2022-01-01T00:00Z"], "backtest_from"),
        (["--backtest-from", "1999-01-01"], "A backtest from 1999-01-01 needs"),
        (["--measure", "traffic"], "traffic"),
        (["--set", "alpha=strong", "--forecaster", "ridge"], "alpha"),
        (["--covariates", "absent.csv"], "absent.csv"),
        (["--out", "forecast.xls"], "parquet"),
        (["--weather", "sunny"], "original"),
        (["--model", "0123", "--horizon", "7"], "--horizon cannot be combined with --model"),
        (["--recalibrate", "0123", "--quantiles", "0.1,0.9"], "--quantiles cannot be combined with --recalibrate"),
        (["--model", "0123", "--entity", "a"], "--entity cannot be combined with --model"),
        (["--model", "0123", "--recalibrate", "0123"], "--model / --recalibrate"),
        (["--model", "0123", "--set", "alpha=1"], "--set cannot be combined with --model"),
    ],
)
def test_forecast_command_rejects_invalid_input(
    arguments: list[str],
    words: str,
    files: tuple[Path, Path],
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command runs in this process, for speed; its output is the same."""
    monkeypatch.setattr("core.cli.task_commands.get_workspace", lambda: workspace)
    with pytest.raises(SystemExit) as system_exit:
        build_app()(["forecast", str(files[0]), *arguments], prog_name="python -m core")
    code, error_text = system_exit.value.code, capsys.readouterr().err
    assert code == 2, error_text
    assert words in error_text
    assert len(error_text.strip().splitlines()) == 1


def test_forecast_command_reports_unknown_model(vigie: Command, files: tuple[Path, Path]) -> None:
    process = vigie("forecast", files[0], "--model", "0123456789abcdef0123456789abcdef")
    assert process.returncode == 1
    assert process.stdout == ""
    assert process.stderr.splitlines() == ["The run 0123456789ab was not found."]


def test_notes_of_covariates_go_to_standard_error(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was converted, left out or has two readings is told once, when the files are read."""
    path = tmp_path / "weather.csv"
    path.write_text("date;temp_f;remark\n03/04/2024;41;a\n04/04/2024;-999;b\n")
    digest = load_covariates([path], workspace)
    told = capsys.readouterr().err
    for words in ("day or the month first", "°F was converted to °C", "1 placeholder number (-999)", "remark"):
        assert words in told
    assert load_covariates([Path(digest)], workspace) == digest
    assert capsys.readouterr().err == ""


def test_command_tells_on_standard_error_what_it_guesses_and_leaves_out(
    vigie: Command, files: tuple[Path, Path], workspace: Workspace, tmp_path: Path
) -> None:
    load, weather = files
    states = tmp_path / "states.csv"
    table = pd.read_csv(weather)
    pd.concat([table.assign(state="Ohio"), table.assign(state="Texas")]).to_csv(states, index=False)
    arguments = ("forecast", load, "--forecaster", "seasonal-naive", "--horizon", 2, "--covariates", states, "--json")
    unmatched = vigie(*arguments)
    assert unmatched.returncode == 0, unmatched.stderr
    for words in (
        "No public holidays are used",
        "states.csv is not used: none of its places (Ohio, Texas) matches an entity (a, b)",
        "temperature is not used: it has no value",
    ):
        assert words in unmatched.stderr
        assert words in " ".join(json.loads(unmatched.stdout)["notes"])
    mapped = vigie(*arguments, "--map", "a=Ohio", "--map", "b=Texas", "--calendar", "US-NY")
    assert mapped.returncode == 0, mapped.stderr
    assert "is not used" not in mapped.stderr
    record = load_run(json.loads(mapped.stdout)["run_id"], workspace).record
    assert (record.params["calendar"], record.params["places"]) == ("US-NY", "a=Ohio, b=Texas")
    wrong = vigie(*arguments, "--calendar", "Bavaria")
    assert wrong.returncode == 2
    assert "DE-BY" in wrong.stderr
