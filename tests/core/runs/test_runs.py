"""Search and comparison of runs on SQLite and on a server that stops or hangs; the command `runs`."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.exports import to_csv_bytes
from core.messages import Message
from core.runs import comparison
from core.runs.card_model import Picture
from core.runs.comparison import RunFilter, build_cost_table, compare_runs, load_records, search_runs
from core.runs.figures import draw_accuracy_and_cost, draw_thumbnail, find_common_range, to_shares
from core.runs.run_table import runs_to_frame
from core.runs.tracked_run import track_run
from core.spec.task import get_metric
from core.workspace import Workspace
from mlflow_utils import search as mlflow_search
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import KEY_TAG, Tracking
from tests.conftest import Command, StartServer, assert_no_hang, create_workspace, find_free_port, kill_process_tree

ALICE = Actor("alice", "tests")
DIGEST = "ab12" * 16


def create_run(workspace: Workspace, number: int, task: str = "anomalies", **tags: str) -> str:
    """Create a run directly in MLflow, `number` seconds after a fixed time, and return its id."""
    client = MlflowClient(workspace.tracking.uri)
    experiment = workspace.tracking.get_experiment_id(client, task)
    start_ms = 1_700_000_000_000 + 1000 * number
    all_tags = {
        KEY_TAG: f"{number:032x}",
        "vigie.status": "completed",
        "model_name": "Forest",
        "user": "alice",
        "dataset.files": "gas.csv",
        "dataset.digest": DIGEST,
    } | tags
    run = client.create_run(
        experiment, start_ms, run_name=f"{all_tags['model_name']} · {all_tags['dataset.files'][:80]}"
    )
    client.log_batch(
        run.info.run_id,
        [Metric("seconds", 1.0 + number, start_ms, 0), Metric("emissions_kg", 1e-6 * (number + 1), start_ms, 0)],
        [Param("number", str(number))],
        [RunTag(name, text) for name, text in all_tags.items()],
    )
    client.set_terminated(run.info.run_id, "FINISHED", start_ms + 500)
    return str(run.info.run_id)


def list_ids(run_page: mlflow_search.RunPage) -> list[str]:
    return [item.record.id for item in run_page.runs]


def record_run(dataset: Dataset, workspace: Workspace, task: str = "anomalies", **params: object) -> str:
    with track_run(task, "IsolationForest", params, dataset, ALICE, workspace) as run:
        run.metrics["anomalies"] = 3
        (run.folder / "note.txt").write_text("x")
    return run.id


# ---- search ---------------------------------------------------------------------------------------------------------


def test_search_runs_pages_newest_first(workspace: Workspace) -> None:
    run_ids = [create_run(workspace, number, ["anomalies", "forecast"][number % 2]) for number in range(7)][::-1]
    run_page, outage = search_runs(workspace, limit=3)
    assert not outage
    pages = [list_ids(run_page)]
    while run_page.token:
        run_page, _ = search_runs(workspace, limit=3, token=run_page.token)
        pages.append(list_ids(run_page))
    assert pages == [run_ids[:3], run_ids[3:6], run_ids[6:]]
    assert [item.record.experiment for item in search_runs(workspace)[0].runs[:2]] == ["anomalies", "forecast"]


def test_search_runs_lists_simultaneous_runs_once(workspace: Workspace) -> None:
    run_ids = {create_run(workspace, 1) for _ in range(5)}
    run_page, seen_ids = search_runs(workspace, limit=2)[0], []
    while True:
        seen_ids += list_ids(run_page)
        if not run_page.token:
            break
        run_page = search_runs(workspace, limit=2, token=run_page.token)[0]
    assert sorted(seen_ids) == sorted(run_ids)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (RunFilter(task="forecast"), [2]),
        (RunFilter(task="nothing"), []),
        (RunFilter(model="rIDge"), [2]),
        (RunFilter(user="BOB"), [1]),
        (RunFilter(data="É"), [3]),
        (RunFilter(data="LEC_b"), [3]),
        (RunFilter(data=DIGEST[:8]), [4, 2, 1, 0]),
        (RunFilter(data=DIGEST), [4, 2, 1, 0]),
        (RunFilter(status="failed"), [4]),
        (RunFilter(status="running"), []),
        (RunFilter(since_ms=1_700_000_003_000), [4, 3]),
        (RunFilter(since_ms=1_700_000_001_000, until_ms=1_700_000_003_000), [2, 1]),
        (RunFilter(text="no rows"), [4]),
        (RunFilter(user="alice", model="forest", data="gas"), [4, 0]),
    ],
)
def test_search_runs_applies_filter(workspace: Workspace, wanted: RunFilter, numbers: list[int]) -> None:
    run_ids = [
        create_run(workspace, 0),
        create_run(workspace, 1, user="bob"),
        create_run(workspace, 2, "forecast", model_name="Ridge"),
        create_run(workspace, 3, **{"dataset.files": "élec_b.csv", "dataset.digest": "cd34" * 16}),
        create_run(workspace, 4, **{"vigie.status": "failed", "error": "DataError: No rows"}),
    ]
    MlflowClient(workspace.tracking.uri).set_terminated(run_ids[4], "FAILED")
    assert list_ids(search_runs(workspace, wanted)[0]) == [run_ids[number] for number in numbers]


@pytest.fixture(scope="module")
def searched_workspace(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """Workspace with one run for each of `NAMES`, shared by many searches."""
    folder = tmp_path_factory.mktemp("many")
    workspace = create_workspace(folder, empty_store)
    for number, name in enumerate(NAMES):
        create_run(workspace, number, model_name=name, user=name, **{"dataset.files": name})
    return workspace


NAMES = (
    "plain",
    "it's",
    'say "so"',
    "a\\b",
    "100%",
    "under_score",
    "x' OR '1'='1",
    "`tick`",
    "; DROP TABLE runs; --",
    "été à Évry",
    "a%' and tags.user = 'b",
    "日本",
    "new\nline",
    "ILIKE",
    "' and attributes.status = 'FINISHED",
)


@given(st.text(max_size=12) | st.sampled_from(NAMES) | st.text(alphabet="'\"`\\%_ -;()=aex", max_size=12))
@example("'")
@example("' or 1=1 --")
@example("%' AND tags.`user` ILIKE '%")
@example("\0")
def test_search_runs_treats_any_input_as_text(searched_workspace: Workspace, typed: str) -> None:
    """The search returns the same runs as a filter over all runs in Python."""
    all_runs, _ = search_runs(searched_workspace, limit=100)
    assert len(all_runs.runs) == len(NAMES)
    for name, tag in (("model", "model_name"), ("user", "user"), ("data", "dataset.files")):
        run_page, outage = search_runs(searched_workspace, RunFilter(**{name: typed}), limit=100)
        assert not outage
        if mlflow_search.DIGEST.fullmatch(typed) and name == "data":
            continue
        assert list_ids(run_page) == [
            item.record.id for item in all_runs.runs if typed.casefold() in item.record.tags[tag].casefold()
        ]


@pytest.mark.parametrize("name", NAMES)
def test_search_runs_finds_run_by_hostile_name(searched_workspace: Workspace, name: str) -> None:
    run_page, _ = search_runs(searched_workspace, RunFilter(model=name, user=name, data=name))
    assert [item.record.tags["model_name"] for item in run_page.runs] == [name]


@pytest.mark.parametrize("token", ["x", "-", "1-", "'; drop", "9" * 30 + "-a", "²-a"])
def test_search_runs_ignores_invalid_token(searched_workspace: Workspace, token: str) -> None:
    run_page, outage = search_runs(searched_workspace, limit=100, token=token)
    assert len(run_page.runs) == len(NAMES)
    assert not outage


def test_search_runs_resumes_after_time_budget(searched_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_search, "SEARCH_BUDGET_S", 0.0)
    monkeypatch.setattr(mlflow_search, "BATCH_SIZE", 4)
    run_page, seen_ids, pages = search_runs(searched_workspace, RunFilter(text="été"))[0], [], 1
    while run_page.token:
        seen_ids += list_ids(run_page)
        run_page, pages = search_runs(searched_workspace, RunFilter(text="été"), token=run_page.token)[0], pages + 1
    seen_ids += list_ids(run_page)
    assert len(seen_ids) == 1
    assert pages > 3


# ---- runs that are not in MLflow ------------------------------------------------------------------------------------


def test_search_runs_merges_pending_runs_once(workspace: Workspace, sample: Dataset) -> None:
    delivered = record_run(sample, workspace)
    pending = Record("forecast", "waits", tags={"model_name": "Ridge", "user": "bob"}, status="completed")
    workspace.tracking.spool.add_run(pending)
    workspace.tracking.spool.save_run(pending, "waiting")
    half_delivered = Record("clusters", "half there", status="completed")
    workspace.tracking.start_run(half_delivered)  # MLflow already has this run
    workspace.tracking.spool.save_run(half_delivered, "waiting")
    run_page, _ = search_runs(workspace)
    assert {item.record.key for item in run_page.runs} == {
        half_delivered.key,
        pending.key,
        load_records([delivered], workspace)[0].key,
    }
    assert len(run_page.runs) == 3
    assert {item.record.key: item.is_pending for item in run_page.runs}[pending.key]
    assert list_ids(search_runs(workspace, RunFilter(user="bob"))[0]) == [pending.key]
    table = runs_to_frame(run_page.runs)
    assert table["waits"].sum() == 2
    assert table.loc[~table["waits"], "value"].tolist() == [3]


def test_search_runs_lists_unfinished_run_as_running(workspace: Workspace) -> None:
    workspace.tracking.start_run(Record("anomalies", "going on"))
    [item] = search_runs(workspace)[0].runs
    assert (item.status, item.is_pending) == ("running", False)
    assert len(search_runs(workspace, RunFilter(status="running"))[0].runs) == 1


def test_search_runs_without_mlflow_lists_local_runs(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    workspace = create_workspace(tmp_path, empty_store, f"http://bob:hidden@127.0.0.1:{find_free_port()}")
    run_id = record_run(sample, workspace, number=1)
    run_page, outage = search_runs(workspace)
    assert list_ids(run_page) == [run_id]
    assert run_page.runs[0].is_pending
    assert "MLflow does not answer" in outage
    assert "hidden" not in outage
    assert comparison.get_experiment_url("anomalies", workspace) == ""
    assert comparison.get_record_url(run_page.runs[0].record, workspace) == ""
    assert compare_runs([run_id], workspace).parameters.loc["number", run_id] == "1"


@pytest.mark.server
def test_search_runs_with_stopped_or_hanging_server(
    tmp_path: Path,
    empty_store: Path,
    sample: Dataset,
    mlflow_server: tuple[str, StartServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri, start = mlflow_server
    server = start()
    workspace = create_workspace(tmp_path / "client", empty_store, uri)
    run_id = record_run(sample, workspace, number=1)
    other_workspace = Workspace.in_folder(tmp_path / "other", Tracking(uri, None, tmp_path / "other" / "runs"))
    run_page, outage = search_runs(other_workspace)
    assert (list_ids(run_page), outage) == ([run_id], "")
    assert compare_runs([run_id], other_workspace).metrics.loc["anomalies", run_id] == 3
    assert not other_workspace.tracking.spool.artifact_dir(run_page.runs[0].record.key).exists(), (
        "files were fetched for a table"
    )
    run_url = comparison.get_record_url(run_page.runs[0].record, other_workspace)
    assert run_url.endswith(f"/runs/{run_id}?workflowType=machine_learning")
    assert comparison.get_experiment_url("anomalies", other_workspace).startswith(f"{uri}/#/experiments/")
    assert comparison.get_experiment_url("anomalies", other_workspace).endswith("/runs?workflowType=machine_learning")
    assert comparison.get_experiment_url("", other_workspace) == f"{uri}/#/experiments?workflowType=machine_learning"
    os.killpg(server.pid, signal.SIGSTOP)  # it accepts connections but does not answer
    try:
        with monkeypatch.context() as patch:  # the server hangs between the health check and the search
            patch.setattr(Tracking, "is_reachable", lambda _: True)
            assert_lists_local_run(workspace, run_id)
        assert_lists_local_run(workspace, run_id)
    finally:
        os.killpg(server.pid, signal.SIGCONT)
    kill_process_tree(server)
    assert_lists_local_run(workspace, run_id)


def assert_lists_local_run(workspace: Workspace, run_id: str) -> None:
    """Assert that the local run is listed although MLflow does not answer."""
    workspace.tracking.reset()
    with assert_no_hang():
        run_page, outage = search_runs(workspace)
    assert list_ids(run_page) == [run_id]
    assert outage


# ---- comparison -----------------------------------------------------------------------------------------------------


@pytest.fixture
def three_runs(workspace: Workspace, sample: Dataset) -> list[str]:
    """Ids of three runs that differ in one parameter; the second has the lowest error."""
    run_ids = []
    for number, (wape, coverage) in enumerate(((0.3, 0.9), (0.1, 0.8), (0.2, 0.7))):
        with track_run(
            "forecast", "Ridge", {"alpha": number, "horizon": 7, "=cmd": "=1+1"}, sample, ALICE, workspace
        ) as run:
            run.metrics |= {"wape": wape, "wape_7": wape, "coverage": coverage, "r2": 0.5}
        run_ids.append(run.id)
    return run_ids


def test_compare_runs_marks_differences_and_best(workspace: Workspace, three_runs: list[str]) -> None:
    comparison_table = compare_runs(three_runs, workspace)
    assert comparison_table.same_data
    assert comparison_table.same_task
    assert list(comparison_table.parameters.index[:1]) == ["alpha"]
    assert comparison_table.find_differences().to_dict() == {"alpha": True, "horizon": False, "=cmd": False}
    best = comparison_table.find_best()
    assert best.loc["wape"].tolist() == best.loc["wape_7"].tolist() == [False, True, False]
    assert not best.loc["coverage"].any(), "coverage has no better direction"
    assert not best.loc["r2"].any(), "all values are equal"
    csv = to_csv_bytes(comparison_table.to_frame()).decode("utf-8-sig")
    assert "'=cmd" in csv
    assert "'=1+1" in csv


def test_compare_runs_reports_other_data_and_missing_values(
    workspace: Workspace, three_runs: list[str], sample: Dataset
) -> None:
    other_run = record_run(sample.filter_rows(sample.entities[:1]), workspace, alpha=1)
    comparison_table = compare_runs([three_runs[0], other_run], workspace)
    assert not comparison_table.same_data
    assert not comparison_table.same_task
    assert comparison_table.parameters.loc["horizon"].tolist() == ["7", ""]
    assert np.isnan(comparison_table.metrics.loc["anomalies", three_runs[0]])
    with pytest.raises(NotFoundError, match="The run ffff"):
        compare_runs([three_runs[0], "f" * 32], workspace)


@pytest.mark.parametrize(
    ("metric", "way"),
    [
        ("wape", -1),
        ("wape_28", -1),
        ("vus_pr", 1),
        ("hit_100", 1),
        ("seconds", -1),
        ("coverage", 0),
        ("random.f1", 0),
        ("pa_f1", 0),
    ],
)
def test_metric_has_better_direction(metric: str, way: int) -> None:
    assert get_metric(metric).direction == way


def make_list_item(accuracy: float, kg: float, digest: str = "a", **params: object) -> mlflow_search.RunListItem:
    tags = {"dataset.digest": digest, "dataset.files": f"{digest}<b>.csv", "model_name": "Ridge"}
    record = Record(
        "forecast", "x", params=params, metrics={"wape": accuracy, "emissions_kg": kg}, tags=tags, status="completed"
    )
    return mlflow_search.RunListItem(record, "completed")


def test_pareto_front_per_dataset() -> None:
    items = [
        make_list_item(0.1, 3e-6),
        make_list_item(0.2, 1e-6),
        make_list_item(0.2, 2e-6),
        make_list_item(0.3, 5e-6),
        make_list_item(0.9, 9e-6, "b"),
        make_list_item(0.01, 1e-9, model_run="x"),
    ]
    points = build_cost_table(items, "forecast")
    assert points["front"].tolist() == [True, True, False, False, True]
    figure = draw_accuracy_and_cost(points, "wape")
    stars = [symbol for trace in figure.data if trace.mode == "markers+text" for symbol in trace.marker.symbol]
    assert stars.count("star") == 3
    assert "<b>" not in figure.to_json()
    assert build_cost_table(items, "anomalies").empty
    assert build_cost_table([], "forecast").empty


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-9, 1e-3)), min_size=1, max_size=12))
def test_pareto_front_members_do_not_dominate(points: list[tuple[float, float]]) -> None:
    cost_table = build_cost_table([make_list_item(*point) for point in points], "forecast")
    front = cost_table[cost_table["front"]]
    assert len(front)
    for member in front.itertuples():
        assert not ((front["accuracy"] < member.accuracy) & (front["emissions_g"] <= member.emissions_g)).any()


def test_thumbnails_of_same_quantity_share_axis() -> None:
    first = Picture("histogram", Message("Scores"), (0.0, 1.0, 2.0), {"rows": (1.0, 3.0)}, 1.5)
    second = Picture("histogram", Message("Scores"), (0.0, 1.0, 2.0), {"rows": (10.0, 10.0)})
    assert find_common_range([to_shares(first), to_shares(second)]) == (0.0, pytest.approx(1.05 * 0.75))
    assert find_common_range([first, Picture("bars", Message("Other"), ("a",), {"n": (1.0,)})]) is None
    assert draw_thumbnail(first).layout.shapes[0].x0 == 1.5
    assert (
        len(draw_thumbnail(Picture("lines", Message("L"), (1.0, 2.0), {"a": (1.0, None), "b": (2.0, 3.0)})).data) == 2
    )


# ---- the command ----------------------------------------------------------------------------------------------------


def test_runs_command_lists_shows_and_writes_card(
    vigie: Command, tmp_path: Path, empty_store: Path, sample: Dataset
) -> None:
    workspace = create_workspace(tmp_path / "data", empty_store)
    run_id = record_run(sample, workspace, contamination=0.1)
    answer = json.loads(vigie("runs", "list", "--task", "anomalies", "--json").stdout)
    assert [entry["run"] for entry in answer["runs"]] == [run_id]
    assert run_id in vigie("runs", "show", run_id).stdout
    html_file, json_file = tmp_path / "card.html", tmp_path / "card.json"
    process = vigie("runs", "card", run_id, "--html", html_file, "--json", json_file)
    assert process.returncode == 0, process.stderr
    assert run_id in html_file.read_text(encoding="utf-8")
    assert json.loads(json_file.read_text(encoding="utf-8"))["about"]["id"] == run_id
    process = vigie("runs", "card", "f" * 32)
    assert (process.returncode, process.stdout) == (1, "")
    assert "The run ffffffffffff was not found." in process.stderr
    process = vigie("detect", "0" * 64)
    assert process.returncode == 1
    assert "is not stored here" in process.stderr
    workspace.datasets.save(sample)
    process = vigie("detect", sample.digest, "--entity", "Atlantis")
    assert process.returncode == 2
    assert sample.entities[0] in process.stderr
