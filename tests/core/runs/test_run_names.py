"""Names of runs: built from task, data and model, and changed by their owner."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import AccessDeniedError, NotFoundError, OptionError
from core.runs.comparison import RunFilter, load_records, search_runs
from core.runs.renaming import MAX_NAME_LENGTH, clean_run_name, rename_run
from core.runs.run_names import build_run_name, name_data, shorten_file_names
from core.runs.stored_runs import load_run
from core.runs.tracked_run import track_run
from core.workspace import Workspace
from mlflow_utils.search import search
from mlflow_utils.tracking import Tracking
from tests.conftest import Command, StartServer, create_workspace, find_free_port, kill_process_tree
from tests.support.commands import start_code
from tests.support.concurrency import wait_until

ALICE, BOB = Actor("alice", "tests"), Actor("bob", "tests")


@dataclass(frozen=True)
class NamedFiles:
    """Data with a digest and the names of their files."""

    files: tuple[str, ...]
    digest: str = "ab12" * 16


def record_run(dataset: Dataset, workspace: Workspace, task: str = "anomalies") -> str:
    with track_run(task, "ECOD", {}, dataset, ALICE, workspace) as run:
        run.metrics["anomalies"] = 3
        (run.folder / "note.txt").write_text("x")
    return run.id


def read_mlflow_name(run_id: str, workspace: Workspace) -> str:
    return str(MlflowClient(workspace.tracking.uri).get_run(run_id).info.run_name)


# ---- built names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (("gas.csv",), "gas"),
        (("folder/gas.csv.gz",), "gas"),
        (("gas 2.5.csv",), "gas 2.5"),
        (("netmob (12 files)",), "netmob (12 files)"),
        (("gas_2018.csv", "gas_2019.csv", "gas_2020.csv"), "gas"),
        (("north part 1.csv", "north part 2.csv"), "north"),
        (("1.csv", "2.csv"), "1 + 1"),
        (("north.csv", "south.csv", "west.csv"), "north + 2"),
        ((), ""),
    ],
)
def test_file_names_give_a_short_name(files: tuple[str, ...], name: str) -> None:
    assert shorten_file_names(files) == name


@given(st.lists(st.text(), max_size=4))
def test_any_data_have_a_name(files: list[str]) -> None:
    name = name_data(NamedFiles(tuple(files)))
    assert len(name) <= 61
    assert name or any(files)


def test_name_of_data_has_the_years_once(sample: Dataset) -> None:
    years = f"{sample.time.min().year}–{sample.time.max().year}"
    assert name_data(sample.replace(files=("gas.csv",))) == f"gas {years}"
    assert name_data(sample.replace(files=(f"gas {years}.csv",))) == f"gas {years}"
    assert build_run_name("unknown task", "ECOD", {}, NamedFiles(())) == "unknown task · ab12ab12 · ECOD"


@pytest.mark.parametrize(
    ("task", "model", "params", "name"),
    [
        ("anomalies", "RobustPca", {"detector": "robust-pca", "trees": 1}, "Anomalies · gas · robust-pca"),
        ("forecast", "Ridge", {"forecaster": "ridge", "model_run": "1f2e"}, "Forecast · gas · ridge"),
        ("comparison", "Comparison", {"compared": "ecod, hbos"}, "Comparison of detectors · gas"),
        ("call_records", "Cleaning", {}, "Call records · gas · Cleaning"),
    ],
)
def test_name_says_what_a_person_chose(task: str, model: str, params: dict[str, object], name: str) -> None:
    assert build_run_name(task, model, params, NamedFiles(("gas.csv",))) == name


def test_runs_on_the_same_data_are_numbered(workspace: Workspace, sample: Dataset) -> None:
    names = [load_run(record_run(sample, workspace, task), workspace).record.name for task in ("anomalies",) * 2]
    assert [name.rpartition(" · ")[2] for name in names] == ["1", "2"]
    assert names[0].startswith("Anomalies · sample_gas_daily 20")
    assert load_run(record_run(sample, workspace, "forecast"), workspace).record.name.endswith("ECOD · 1")


def test_numbers_of_simultaneous_runs_differ(workspace: Workspace) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(workspace.tracking.spool.take_number, ["Anomalies · gas"] * 24))
    assert sorted(numbers) == list(range(1, 25))


# ---- given names ----------------------------------------------------------------------------------------------------


def test_rename_changes_name_everywhere(workspace: Workspace, tmp_path: Path, sample: Dataset) -> None:
    run_id = record_run(sample, workspace)
    record, is_delivered = rename_run(run_id, " cold\nspell ", workspace=workspace, actor=ALICE)
    assert (record.name, is_delivered) == ("cold spell", True)
    assert load_records([run_id], workspace)[0].name == load_run(run_id, workspace).record.name == "cold spell"
    assert read_mlflow_name(run_id, workspace) == "cold spell"
    [item] = search_runs(workspace, RunFilter(text="COLD"))[0].runs
    assert item.record.id == run_id
    other_tracking = Tracking(workspace.tracking.uri, None, tmp_path / "elsewhere")
    other_workspace = Workspace.in_folder(tmp_path / "other", other_tracking)
    assert load_run(run_id, other_workspace).record.name == "cold spell"
    rename_run(run_id, "from elsewhere", workspace=other_workspace, actor=BOB, manages_all=True)
    assert read_mlflow_name(run_id, workspace) == "from elsewhere"
    assert search_runs(workspace)[0].runs[0].record.name == "from elsewhere"
    assert load_records([run_id], workspace)[0].name == "from elsewhere", "the list has taken over the name of MLflow"
    assert workspace.events.read_events()[-1].event == "run_rename"


def test_rename_is_for_owner_and_operators(workspace: Workspace, sample: Dataset) -> None:
    run_id = record_run(sample, workspace)
    name = load_run(run_id, workspace).record.name
    with pytest.raises(AccessDeniedError, match="or an operator"):
        rename_run(run_id, "mine", workspace=workspace, actor=BOB)
    assert load_run(run_id, workspace).record.name == read_mlflow_name(run_id, workspace) == name
    rename_run(run_id, "ours", workspace=workspace, actor=BOB, manages_all=True)
    assert read_mlflow_name(run_id, workspace) == "ours"
    with pytest.raises(NotFoundError):
        rename_run("f" * 32, "ours", workspace=workspace, actor=BOB)


@pytest.mark.parametrize("name", ["", " \n ", "\x00", "x" * (MAX_NAME_LENGTH + 1)])
def test_rename_refuses_empty_and_long_names(workspace: Workspace, name: str) -> None:
    with pytest.raises(OptionError, match="1 to 120 characters"):
        rename_run("any", name, workspace=workspace, actor=ALICE)


@given(st.text())
def test_clean_name_stays_as_it_is(text: str) -> None:
    try:
        name = clean_run_name(text)
    except OptionError:
        return
    assert clean_run_name(name) == name
    assert "\n" not in name


def test_name_given_while_run_lasts_stays(workspace: Workspace, sample: Dataset) -> None:
    with track_run("anomalies", "ECOD", {}, sample, ALICE, workspace) as run:
        rename_run(run.id, "early", workspace=workspace, actor=ALICE)
    assert load_run(run.id, workspace).record.name == read_mlflow_name(run.id, workspace) == "early"


DELIVERY_SCRIPT = """
import sys, time
from pathlib import Path
from mlflow_utils.tracking import Tracking
tracking = Tracking(sys.argv[1], None, Path(sys.argv[2]))
with tracking._delivery_lock.hold(10):
    print("delivers", flush=True)
    while not Path(sys.argv[3]).exists():
        time.sleep(0.01)
"""


def test_rename_waits_for_delivery_of_other_process(workspace: Workspace, sample: Dataset, tmp_path: Path) -> None:
    """The other process may be sending an older name, which must not arrive last."""
    run_id = record_run(sample, workspace)
    old_name, spool = read_mlflow_name(run_id, workspace), workspace.tracking.spool
    process = start_code(DELIVERY_SCRIPT, workspace.tracking.uri, spool.folder, tmp_path / "delivered")
    wait_until(lambda: (process.folder / "stdout").read_text() == "delivers\n")
    record, is_delivered = rename_run(run_id, "newer", workspace=workspace, actor=ALICE)
    assert (record.name, is_delivered) == ("newer", False)
    assert read_mlflow_name(run_id, workspace) == old_name
    (tmp_path / "delivered").touch()
    assert process.wait() == 0
    workspace.tracking.deliver_pending()
    assert read_mlflow_name(run_id, workspace) == load_run(run_id, workspace).record.name == "newer"


@pytest.mark.parametrize("first_name", ["", "first"])
def test_list_does_not_undo_name_given_meanwhile(
    workspace: Workspace, tmp_path: Path, sample: Dataset, first_name: str
) -> None:
    """Another process lists the runs, and this one renames a run before the list follows the names of MLflow."""
    run_id = record_run(sample, workspace)
    if first_name:
        rename_run(run_id, first_name, workspace=workspace, actor=ALICE)
    other_tracking = Tracking(workspace.tracking.uri, None, workspace.tracking.spool.folder)
    given_names = other_tracking.spool.list_given_names()
    [item] = search(other_tracking).runs
    rename_run(run_id, "meanwhile", workspace=workspace, actor=ALICE)
    other_tracking.spool.follow_names({item.record.key: item.record.name}, given_names)
    assert load_run(run_id, workspace).record.name == read_mlflow_name(run_id, workspace) == "meanwhile"


def test_name_waits_for_silent_mlflow(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    workspace = create_workspace(tmp_path, empty_store, f"http://127.0.0.1:{find_free_port()}")
    run_id = record_run(sample, workspace)
    record, is_delivered = rename_run(run_id, "later", workspace=workspace, actor=ALICE)
    assert (record.name, is_delivered) == ("later", False)
    assert load_run(run_id, workspace).record.name == "later"
    assert search_runs(workspace)[0].runs[0].record.name == "later"


@pytest.mark.server
def test_name_is_delivered_after_outage(
    tmp_path: Path, empty_store: Path, sample: Dataset, mlflow_server: tuple[str, StartServer]
) -> None:
    uri, start = mlflow_server
    server = start()
    workspace = create_workspace(tmp_path / "client", empty_store, uri)
    early_run = record_run(sample, workspace)
    kill_process_tree(server)
    workspace.tracking.reset()
    late_run = record_run(sample, workspace)
    for run_id in (early_run, late_run):
        assert not rename_run(run_id, f"name of {run_id}", workspace=workspace, actor=ALICE)[1]
    start()
    workspace.tracking.reset()
    workspace.tracking.deliver_pending()
    assert workspace.tracking.spool.list_waiting_names() == []
    names = {item.record.key: item.record.name for item in search_runs(workspace)[0].runs}
    assert sorted(names.values()) == sorted([f"name of {early_run}", f"name of {late_run}"])
    client = MlflowClient(uri)
    mlflow_runs = client.search_runs([client.get_experiment_by_name("anomalies").experiment_id])
    assert sorted(run.info.run_name for run in mlflow_runs) == sorted(names.values())


def test_rename_command_prints_name(vigie: Command, tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    workspace = create_workspace(tmp_path / "data", empty_store)
    run_id = record_run(sample, workspace)
    process = vigie("runs", "rename", run_id, "winter 2024")
    assert (process.returncode, process.stdout) == (0, "winter 2024\n")
    assert "winter 2024" in vigie("runs", "list", "--text", "WINTER").stdout
    process = vigie("runs", "rename", run_id, "")
    assert process.returncode == 2
    assert "1 to 120 characters" in process.stderr
