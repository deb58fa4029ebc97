"""Recent results: own first, search, runs without a page or with damaged files, MLflow that does not answer."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError
from core.runs.recent import find_recent_results, load_picture
from core.runs.result import RESULT_FOLDER
from core.runs.svg import draw_picture
from core.runs.thumbnail import render_thumbnail
from core.storage.durable_files import CHECKSUMS_FILE
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.tasks.clusters.run import cluster
from core.tasks.clusters.spec import ClusteringSpec, list_clusterers
from core.workspace import Workspace
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import Tracking
from tests.conftest import find_free_port

ANNA, BOB = Actor("anna", "tests"), Actor("bob", "tests")
FOREST = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")
KMEANS = ClusteringSpec(list_clusterers()["kmeans"](n_clusters=2))


def list_users(words: str, user: str, workspace: Workspace) -> list[str]:
    return [result.user for result in find_recent_results(words, user, workspace).results]


def test_recent_results_show_own_first_and_are_searched(workspace: Workspace, sample: Dataset) -> None:
    workspace.datasets.save(sample)
    bobs = detect(FOREST, sample, workspace=workspace, actor=BOB)[1].id
    annas = cluster(KMEANS, sample, workspace=workspace, actor=ANNA)[1].id
    row = sample.filter_rows(sample.entities[:1], end=sample.time.min())
    with pytest.raises(DataError):
        detect(DetectionSpec(baseline="entity"), row, workspace=workspace, actor=BOB)
    assert [result.record.id for result in find_recent_results("", "bob", workspace).results] == [bobs, annas]
    assert [result.record.id for result in find_recent_results("", "anna", workspace).results] == [annas, bobs]
    assert list_users("GAS bob", "anna", workspace) == ["bob"]
    assert list_users("clusters", "bob", workspace) == ["anna"]
    assert list_users("groupes sample_gas", "bob", workspace) == []
    translated = find_recent_results(
        "groupes sample_gas", "bob", workspace, lambda text: {"Clusters": "Groupes"}.get(text, text)
    )
    assert [result.user for result in translated.results] == ["anna"]
    for run in (bobs, annas):
        picture = load_picture(run, workspace)
        assert picture is not None
        assert len(ElementTree.fromstring(render_thumbnail(draw_picture(picture, str, str))))


def test_recent_results_survive_damaged_run_and_silent_mlflow(workspace: Workspace, sample: Dataset) -> None:
    run = detect(FOREST, sample, workspace=workspace, actor=BOB)[1]
    for path in (run.folder / RESULT_FOLDER).iterdir():
        path.write_bytes(b"damaged")
    (run.folder / CHECKSUMS_FILE).unlink()  # otherwise its files are fetched from MLflow
    assert load_picture(run.id, workspace) is None
    assert load_picture("f" * 32, workspace) is None
    silent = Tracking(f"http://127.0.0.1:{find_free_port()}", None, workspace.tracking.spool.folder)
    recent = find_recent_results("", "bob", replace(workspace, tracking=silent))
    assert [result.record.id for result in recent.results] == [run.id]
    assert recent.is_partial


@pytest.mark.parametrize("is_silent", [False, True])
def test_search_finds_oldest_run_among_many(workspace: Workspace, is_silent: bool) -> None:
    """Each word may stand in the name, a file, the user or the label of the task, in any run of the store."""
    spool = workspace.tracking.spool
    for number in range(60):
        is_rare = number == 0
        tags = {"user": "zoé" if is_rare else "anna", "dataset.files": "winter_é.csv" if is_rare else "gas.csv"}
        record = Record("anomalies", f"run {number}", status="completed", started_ms=number + 1, tags=tags)
        spool.save_run(record, "waiting")
    if is_silent:
        workspace = replace(workspace, tracking=Tracking(f"http://127.0.0.1:{find_free_port()}", None, spool.folder))
    else:
        workspace.tracking.deliver_pending()
    for words in ("ZOÉ", "winter_É", "Run winter", "zoé anomalies csv RUN", "winter  zo csv"):
        recent = find_recent_results(words, "bob", workspace, limit=5)
        assert [result.record.name for result in recent.results] == ["run 0"], words
        assert (recent.has_more, recent.is_complete) == (False, True)
    assert find_recent_results("winter anna", "bob", workspace).results == ()
    newest = find_recent_results("anna", "bob", workspace, limit=3)
    assert [result.record.name for result in newest.results] == ["run 59", "run 58", "run 57"]
    assert newest.has_more
    own = find_recent_results("", "anna", workspace, limit=3)
    assert [result.record.name for result in own.results] == ["run 59", "run 58", "run 57"]
    assert (own.has_more, own.is_complete, own.is_partial) == (True, True, is_silent)
