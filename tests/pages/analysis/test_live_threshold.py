"""Threshold that moves above a result, with AppTest and a worker that executes the jobs."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.evaluation.threshold_views import list_thresholds, tabulate_thresholds, view_threshold
from core.jobs.worker import Worker
from core.operations import feedback
from core.tasks.anomalies.run import detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.tasks.sequences.run import load_sequences, train
from core.tasks.sequences.spec import SequenceSpec
from core.tasks.sequences.spec import list_detectors as list_sequence_detectors
from core.workspace import Workspace
from tests.conftest import wait_for_job
from tests.support.app_pages import click_button, open_page, read_page_text

BOB = Actor("bob", "tests")


@pytest.fixture
def row_run(page_workspace: Workspace, sample: Dataset) -> dict[str, str]:
    """Query parameters of a run of anomalies."""
    part = sample.filter_rows(sample.entities[:2])
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity", contamination=0.01)
    _, run = detect(spec, part, workspace=page_workspace, actor=BOB)
    return {"run": run.id, "dataset": page_workspace.datasets.save(part)}


def get_slider(app: AppTest) -> Any:
    return next(slider for slider in app.select_slider if str(slider.key).startswith("live-threshold"))


def move_slider(app: AppTest, value: float) -> AppTest:
    app = get_slider(app).set_value(value).run()
    assert not app.exception
    return app


def read_metrics(app: AppTest) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in app.metric}


def choose_higher(run: dict[str, str], workspace: Workspace) -> float:
    """Return the threshold of the slider that flags about half as many rows as the run."""
    detection = load_detection(run["run"], workspace)
    rows = detection.list_scored_rows()
    table = tabulate_thresholds(rows, list_thresholds(rows.scores, detection.threshold))
    return float(table.loc[(table["flagged_rows"] - len(detection.anomalies) / 2).abs().idxmin(), "threshold"])


def test_moved_threshold_changes_counts_without_a_run(page_workspace: Workspace, row_run: dict[str, str]) -> None:
    detection, higher = load_detection(row_run["run"], page_workspace), choose_higher(row_run, page_workspace)
    app = open_page("analysis/anomalies.py", **row_run)
    assert get_slider(app).value == detection.threshold
    assert "Rows flagged" not in read_metrics(app), "a threshold that was not moved shows no second set of figures"
    app = move_slider(app, higher)
    view = view_threshold(detection.list_scored_rows(), higher)
    assert 0 < view.flagged_rows < len(detection.anomalies)
    metrics = read_metrics(app)
    assert metrics["Rows flagged"] == (str(view.flagged_rows), f"currently {len(detection.anomalies)}")
    assert metrics["Incidents"][0] == str(len(view.incidents))
    assert metrics["Flagged rows"][0] == str(len(detection.anomalies)), "the stored result stays as it is"
    [table] = [element.value for element in app.dataframe if "peak" in element.value.columns]
    assert (table["change"] == "").sum() == len(view.incidents)
    assert (table["change"] == "no longer flagged").any()
    assert len(page_workspace.events.read_events()) == 1


def test_refresh_and_shared_link_keep_moved_threshold(page_workspace: Workspace, row_run: dict[str, str]) -> None:
    higher = choose_higher(row_run, page_workspace)
    app = move_slider(open_page("analysis/anomalies.py", **row_run), higher)
    address = {name: str(value) for name, value in app.query_params.items()}
    assert float(address["threshold"]) == higher
    reopened = open_page("analysis/anomalies.py", **address)
    assert get_slider(reopened).value == higher
    assert read_metrics(reopened)["Rows flagged"] == read_metrics(app)["Rows flagged"]
    back = move_slider(reopened, load_detection(row_run["run"], page_workspace).threshold)
    assert "threshold" not in back.query_params


@pytest.mark.parametrize("text", ["", "many", "nan", "inf", "-1e999"])
def test_invalid_threshold_in_address_is_ignored(page_workspace: Workspace, row_run: dict[str, str], text: str) -> None:
    app = open_page("analysis/anomalies.py", **row_run, threshold=text)
    assert not app.exception
    assert get_slider(app).value == load_detection(row_run["run"], page_workspace).threshold


def test_kept_threshold_makes_one_run_for_two_clicks(
    page_workspace: Workspace, row_run: dict[str, str], worker: Worker
) -> None:
    higher = choose_higher(row_run, page_workspace)
    first, second = (move_slider(open_page("analysis/anomalies.py", **row_run), higher) for _ in range(2))
    first, second = click_button(first, "keep-threshold"), click_button(second, "keep-threshold")
    first, second = wait_for_job(first), wait_for_job(second)
    assert not first.exception
    assert not first.error
    assert first.query_params["run"] == second.query_params["run"] != row_run["run"]
    assert "threshold" not in first.query_params
    [run] = {event.run_id for event in page_workspace.events.read_events()} - {row_run["run"]}
    after, before = load_detection(str(run), page_workspace), load_detection(row_run["run"], page_workspace)
    assert (after.threshold, after.method, after.target_rate) == (higher, "chosen", None)
    assert len(after.anomalies) == view_threshold(before.list_scored_rows(), higher).flagged_rows
    assert "chosen by hand on run" in read_page_text(first)
    assert get_slider(first).value == higher


def test_moved_threshold_shows_precision_from_verdicts(page_workspace: Workspace, row_run: dict[str, str]) -> None:
    detection, higher = load_detection(row_run["run"], page_workspace), choose_higher(row_run, page_workspace)
    kept = view_threshold(detection.list_scored_rows(), higher).flagged_rows
    verdicts = {0: "true_alarm", 1: "false_alarm", kept: "true_alarm"}  # the last one is lost
    for position, verdict in verdicts.items():
        row = feedback.serialise_row(detection.rows.loc[position, ["entity", "time", "score"]].to_dict())
        entry = feedback.FeedbackInput("anomalies", row_run["run"], row, verdict)  # type: ignore[arg-type]
        feedback.submit_feedback(entry, workspace=page_workspace, actor=BOB)
    app = move_slider(open_page("analysis/anomalies.py", **row_run), higher)
    assert read_metrics(app)["Precision from verdicts"] == ("50%", "true: 2, lost: 1")


def test_moved_threshold_of_sequences_counts_its_events(page_workspace: Workspace, worker: Worker) -> None:
    dataset = load_sample("server_kpis")
    spec = SequenceSpec(list_sequence_detectors()["moving-mean"](), threshold="contamination", amount=0.02)
    detection, run = train(spec, dataset, workspace=page_workspace, actor=BOB)
    rows = detection.list_scored_rows()
    current = view_threshold(rows, detection.threshold)
    assert len(current.incidents) >= len(detection.events), "an event may last longer than its flagged rows"
    higher = list_thresholds(rows.scores, detection.threshold)[20]
    view = view_threshold(rows, higher)
    app = open_page("analysis/sequences.py", run=run.id, dataset=page_workspace.datasets.save(dataset))
    app = move_slider(app, higher)
    metrics = read_metrics(app)
    assert metrics["Incidents"] == (str(len(view.incidents)), f"currently {len(current.incidents)}")
    assert view.confusion is not None
    assert {"Precision", "Recall"} <= set(metrics), "the sample has labels"
    app = wait_for_job(click_button(app, "keep-threshold"))
    assert not app.exception
    after = load_sequences(str(app.query_params["run"]), page_workspace)
    assert int(after.rows["anomaly"].sum()) == view.flagged_rows
    assert (after.method, after.target_rate) == ("chosen", None)
