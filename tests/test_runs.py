"""Runs looked for and compared, on MLflow's own SQLite and on a real server that dies and hangs."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
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
from core.runs.comparison import RunFilter, build_cost_table, compare_runs, load_records, runs_to_frame, search_runs
from core.runs.figures import draw_accuracy_and_cost, draw_thumbnail, find_common_range, to_shares
from core.runs.tracked_run import track_run
from core.spec.task import get_metric
from core.workspace import Workspace
from mlflow_utils import search as searching
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import KEY_TAG, Tracking
from tests.conftest import Command, Server, free_port, stop, workplace_in
from tests.test_commands import vigie  # noqa: F401

BY = Actor("alice", "tests")
DIGEST = "ab12" * 16


def made(at: Workspace, number: int, task: str = "anomalies", **tags: str) -> str:
    """A run straight in MLflow, a second after the one before; its id."""
    client = MlflowClient(at.tracking.uri)
    experiment = at.tracking.get_experiment_id(client, task)
    began = 1_700_000_000_000 + 1000 * number
    given_tags = {
        KEY_TAG: f"{number:032x}",
        "vigie.status": "completed",
        "model_name": "Forest",
        "user": "alice",
        "dataset.files": "gas.csv",
        "dataset.digest": DIGEST,
    } | tags
    run = client.create_run(
        experiment, began, run_name=f"{given_tags['model_name']} · {given_tags['dataset.files'][:80]}"
    )
    client.log_batch(
        run.info.run_id,
        [Metric("seconds", 1.0 + number, began, 0), Metric("emissions_kg", 1e-6 * (number + 1), began, 0)],
        [Param("number", str(number))],
        [RunTag(name, text) for name, text in given_tags.items()],
    )
    client.set_terminated(run.info.run_id, "FINISHED", began + 500)
    return str(run.info.run_id)


def ids(found: searching.RunPage) -> list[str]:
    return [each.record.id for each in found.runs]


def recorded(dataset: Dataset, at: Workspace, task: str = "anomalies", **params: object) -> str:
    with track_run(task, "IsolationForest", params, dataset, BY, at) as run:
        run.metrics["anomalies"] = 3
        (run.folder / "note.txt").write_text("x")
    return run.id


# ---- looked for -----------------------------------------------------------------------------------------------------


def test_the_newest_come_first_page_by_page(place: Workspace) -> None:
    every = [made(place, number, ["anomalies", "forecast"][number % 2]) for number in range(7)][::-1]
    found, silent = search_runs(place, limit=3)
    assert not silent
    pages = [ids(found)]
    while found.token:
        found, _ = search_runs(place, limit=3, token=found.token)
        pages.append(ids(found))
    assert pages == [every[:3], every[3:6], every[6:]]
    assert [each.record.experiment for each in search_runs(place)[0].runs[:2]] == ["anomalies", "forecast"]


def test_runs_that_began_together_are_each_listed_once(place: Workspace) -> None:
    every = {made(place, 1) for _ in range(5)}
    found, seen = search_runs(place, limit=2)[0], []
    while True:
        seen += ids(found)
        if not found.token:
            break
        found = search_runs(place, limit=2, token=found.token)[0]
    assert sorted(seen) == sorted(every)


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
def test_filters(place: Workspace, wanted: RunFilter, numbers: list[int]) -> None:
    every = [
        made(place, 0),
        made(place, 1, user="bob"),
        made(place, 2, "forecast", model_name="Ridge"),
        made(place, 3, **{"dataset.files": "élec_b.csv", "dataset.digest": "cd34" * 16}),
        made(place, 4, **{"vigie.status": "failed", "error": "DataError: No rows"}),
    ]
    MlflowClient(place.tracking.uri).set_terminated(every[4], "FAILED")
    assert ids(search_runs(place, wanted)[0]) == [every[number] for number in numbers]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """A store that many searches share."""
    folder = tmp_path_factory.mktemp("many")
    at = workplace_in(folder, empty_store)
    for number, name in enumerate(NAMES):
        made(at, number, model_name=name, user=name, **{"dataset.files": name})
    return at


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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=12) | st.sampled_from(NAMES) | st.text(alphabet="'\"`\\%_ -;()=aex", max_size=12))
@example("'")
@example("' or 1=1 --")
@example("%' AND tags.`user` ILIKE '%")
@example("\0")
def test_what_a_person_types_neither_breaks_nor_widens_a_filter(stored: Workspace, typed: str) -> None:
    """The answer is the one that reading every run and looking by hand gives."""
    every, _ = search_runs(stored, limit=100)
    assert len(every.runs) == len(NAMES)
    for name, tag in (("model", "model_name"), ("user", "user"), ("data", "dataset.files")):
        found, silent = search_runs(stored, RunFilter(**{name: typed}), limit=100)
        assert not silent
        if searching.DIGEST.fullmatch(typed) and name == "data":
            continue
        assert ids(found) == [
            each.record.id for each in every.runs if typed.casefold() in each.record.tags[tag].casefold()
        ]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_found_by_itself(stored: Workspace, name: str) -> None:
    found, _ = search_runs(stored, RunFilter(model=name, user=name, data=name))
    assert [each.record.tags["model_name"] for each in found.runs] == [name]


@pytest.mark.parametrize("token", ["x", "-", "1-", "'; drop", "9" * 30 + "-a", "²-a"])
def test_a_token_that_is_none_begins_anew_or_ends(stored: Workspace, token: str) -> None:
    found, silent = search_runs(stored, limit=100, token=token)
    assert len(found.runs) == len(NAMES)
    assert not silent


def test_a_search_that_finds_little_stops_after_a_second_and_goes_on(
    stored: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "SEARCH_BUDGET_S", 0.0)
    monkeypatch.setattr(searching, "BATCH_SIZE", 4)
    found, seen, pages = search_runs(stored, RunFilter(text="été"))[0], [], 1
    while found.token:
        seen += ids(found)
        found, pages = search_runs(stored, RunFilter(text="été"), token=found.token)[0], pages + 1
    seen += ids(found)
    assert len(seen) == 1
    assert pages > 3


# ---- beside MLflow --------------------------------------------------------------------------------------------------


def test_waiting_runs_are_merged_once(place: Workspace, sample: Dataset) -> None:
    delivered = recorded(sample, place)
    waiting = Record("forecast", "waits", tags={"model_name": "Ridge", "user": "bob"}, status="completed")
    place.tracking.spool.add_run(waiting)
    place.tracking.spool.save_run(waiting, "waiting")
    half = Record("clusters", "half there", status="completed")
    place.tracking.start_run(half)  # MLflow knows of it
    place.tracking.spool.save_run(half, "waiting")
    found, _ = search_runs(place)
    assert {each.record.key for each in found.runs} == {half.key, waiting.key, load_records([delivered], place)[0].key}
    assert len(found.runs) == 3
    assert {each.record.key: each.is_pending for each in found.runs}[waiting.key]
    assert ids(search_runs(place, RunFilter(user="bob"))[0]) == [waiting.key]
    lines = runs_to_frame(found.runs)
    assert lines["waits"].sum() == 2
    assert lines.loc[~lines["waits"], "value"].tolist() == [3]


def test_a_run_that_goes_on_is_running(place: Workspace) -> None:
    place.tracking.start_run(Record("anomalies", "going on"))
    [listed] = search_runs(place)[0].runs
    assert (listed.status, listed.is_pending) == ("running", False)
    assert len(search_runs(place, RunFilter(status="running"))[0].runs) == 1


def test_without_mlflow_this_machine_remembers(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    at = workplace_in(tmp_path, empty_store, f"http://bob:hidden@127.0.0.1:{free_port()}")
    run = recorded(sample, at, number=1)
    found, silent = search_runs(at)
    assert ids(found) == [run]
    assert found.runs[0].is_pending
    assert "MLflow does not answer" in silent
    assert "hidden" not in silent
    assert comparison.get_experiment_url("anomalies", at) == ""
    assert comparison.get_record_url(found.runs[0].record, at) == ""
    assert compare_runs([run], at).parameters.loc["number", run] == "1"


@pytest.mark.server
def test_a_server_that_answers_dies_and_hangs(
    tmp_path: Path,
    empty_store: Path,
    sample: Dataset,
    mlflow_server: tuple[str, Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri, start = mlflow_server
    server = start()
    at = workplace_in(tmp_path / "client", empty_store, uri)
    run = recorded(sample, at, number=1)
    elsewhere = Workspace.in_folder(tmp_path / "other", Tracking(uri, None, tmp_path / "other" / "runs"))
    found, silent = search_runs(elsewhere)
    assert (ids(found), silent) == ([run], "")
    assert compare_runs([run], elsewhere).metrics.loc["anomalies", run] == 3
    assert not elsewhere.tracking.spool.artifact_dir(found.runs[0].record.key).exists(), (
        "files were fetched for a table"
    )
    assert comparison.get_record_url(found.runs[0].record, elsewhere).endswith(f"/runs/{run}")
    assert comparison.get_experiment_url("anomalies", elsewhere).startswith(f"{uri}/#/experiments/")
    assert comparison.get_experiment_url("", elsewhere) == f"{uri}/#/experiments"
    os.killpg(server.pid, signal.SIGSTOP)  # it takes connections and says nothing
    try:
        with monkeypatch.context() as moment:  # between the question whether it lives, and the search
            moment.setattr(Tracking, "is_reachable", lambda _: True)
            assert_silent(at, run)
        assert_silent(at, run)
    finally:
        os.killpg(server.pid, signal.SIGCONT)
    stop(server)
    assert_silent(at, run)


def assert_silent(at: Workspace, run: str) -> None:
    """What began here is listed, in less than two seconds."""
    at.tracking.reset()
    began = time.perf_counter()
    found, silent = search_runs(at)
    assert time.perf_counter() - began < 2.0
    assert ids(found) == [run]
    assert silent


# ---- side by side ---------------------------------------------------------------------------------------------------


@pytest.fixture
def three(place: Workspace, sample: Dataset) -> list[str]:
    """Runs that differ in one parameter; the second is better, the third costs nothing."""
    made = []
    for number, (wape, coverage) in enumerate(((0.3, 0.9), (0.1, 0.8), (0.2, 0.7))):
        with track_run("forecast", "Ridge", {"alpha": number, "horizon": 7, "=cmd": "=1+1"}, sample, BY, place) as run:
            run.metrics |= {"wape": wape, "wape_7": wape, "coverage": coverage, "r2": 0.5}
        made.append(run.id)
    return made


def test_runs_side_by_side(place: Workspace, three: list[str]) -> None:
    found = compare_runs(three, place)
    assert found.same_data
    assert found.same_task
    assert list(found.parameters.index[:1]) == ["alpha"]
    assert found.find_differences().to_dict() == {"alpha": True, "horizon": False, "=cmd": False}
    best = found.find_best()
    assert best.loc["wape"].tolist() == best.loc["wape_7"].tolist() == [False, True, False]
    assert not best.loc["coverage"].any(), "nobody says that more is better"
    assert not best.loc["r2"].any(), "all are alike"
    written = to_csv_bytes(found.to_frame()).decode("utf-8-sig")
    assert "'=cmd" in written
    assert "'=1+1" in written


def test_what_differs_on_other_data_and_what_is_missing(place: Workspace, three: list[str], sample: Dataset) -> None:
    other = recorded(sample.filter_rows(sample.entities[:1]), place, alpha=1)
    found = compare_runs([three[0], other], place)
    assert not found.same_data
    assert not found.same_task
    assert found.parameters.loc["horizon"].tolist() == ["7", ""]
    assert np.isnan(found.metrics.loc["anomalies", three[0]])
    with pytest.raises(NotFoundError, match="The run ffff"):
        compare_runs([three[0], "f" * 32], place)


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
def test_which_way_is_better(metric: str, way: int) -> None:
    assert get_metric(metric).direction == way


def listed(accuracy: float, kg: float, digest: str = "a", **params: object) -> searching.RunListItem:
    tags = {"dataset.digest": digest, "dataset.files": f"{digest}<b>.csv", "model_name": "Ridge"}
    record = Record(
        "forecast", "x", params=params, metrics={"wape": accuracy, "emissions_kg": kg}, tags=tags, status="completed"
    )
    return searching.RunListItem(record, "completed")


def test_the_front_is_what_no_run_on_the_same_data_beats() -> None:
    some = [
        listed(0.1, 3e-6),
        listed(0.2, 1e-6),
        listed(0.2, 2e-6),
        listed(0.3, 5e-6),
        listed(0.9, 9e-6, "b"),
        listed(0.01, 1e-9, model_run="x"),
    ]
    points = build_cost_table(some, "forecast")
    assert points["front"].tolist() == [True, True, False, False, True]
    figure = draw_accuracy_and_cost(points, "wape")
    stars = [symbol for trace in figure.data if trace.mode == "markers+text" for symbol in trace.marker.symbol]
    assert stars.count("star") == 3
    assert "<b>" not in figure.to_json()
    assert build_cost_table(some, "anomalies").empty
    assert build_cost_table([], "forecast").empty


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-9, 1e-3)), min_size=1, max_size=12))
def test_the_front_is_never_empty_and_no_member_beats_another(points: list[tuple[float, float]]) -> None:
    found = build_cost_table([listed(*each) for each in points], "forecast")
    front = found[found["front"]]
    assert len(front)
    for one in front.itertuples():
        assert not ((front["accuracy"] < one.accuracy) & (front["emissions_g"] <= one.emissions_g)).any()


def test_small_pictures_share_an_axis_where_they_show_the_same() -> None:
    one = Picture("histogram", Message("Scores"), (0.0, 1.0, 2.0), {"rows": (1.0, 3.0)}, 1.5)
    two = Picture("histogram", Message("Scores"), (0.0, 1.0, 2.0), {"rows": (10.0, 10.0)})
    assert find_common_range([to_shares(one), to_shares(two)]) == (0.0, pytest.approx(1.05 * 0.75))
    assert find_common_range([one, Picture("bars", Message("Other"), ("a",), {"n": (1.0,)})]) is None
    assert draw_thumbnail(one).layout.shapes[0].x0 == 1.5
    assert (
        len(draw_thumbnail(Picture("lines", Message("L"), (1.0, 2.0), {"a": (1.0, None), "b": (2.0, 3.0)})).data) == 2
    )


# ---- the command ----------------------------------------------------------------------------------------------------


def test_list_show_and_card(vigie: Command, tmp_path: Path, empty_store: Path, sample: Dataset) -> None:  # noqa: F811
    folder = tmp_path / "data"
    folder.mkdir()
    at = workplace_in(folder, empty_store)
    run = recorded(sample, at, contamination=0.1)
    answer = json.loads(vigie("runs", "list", "--task", "anomalies", "--json").stdout)
    assert [each["run"] for each in answer["runs"]] == [run]
    assert run in vigie("runs", "show", run).stdout
    html, written = tmp_path / "card.html", tmp_path / "card.json"
    ran = vigie("runs", "card", run, "--html", html, "--json", written)
    assert ran.returncode == 0, ran.stderr
    assert run in html.read_text(encoding="utf-8")
    assert json.loads(written.read_text(encoding="utf-8"))["about"]["id"] == run
    ran = vigie("runs", "card", "f" * 32)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "The run ffffffffffff was not found." in ran.stderr
    ran = vigie("detect", "0" * 64)
    assert ran.returncode == 1
    assert "is not stored here" in ran.stderr
    at.datasets.save(sample)
    ran = vigie("detect", sample.digest, "--entity", "Atlantis")
    assert ran.returncode == 2
    assert sample.entities[0] in ran.stderr
