"""Verdicts on the analysis pages, the feedback page, and new thresholds from verdicts, with AppTest."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.jobs.worker import Worker
from core.operations import feedback as feedback_operations
from core.storage.feedback import MAX_COMMENT_CHARS, FeedbackStore
from core.storage.s3 import Bucket
from core.tasks.anomalies.run import detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from tests.conftest import wait_for_job
from tests.support.app_pages import click_button, open_page, read_page_text

ACTOR = Actor("bob", "tests")
PAGE = "operations/feedback.py"


@pytest.fixture
def small_dataset(sample: Dataset) -> Dataset:
    return sample.filter_rows(sample.entities[:2])


@pytest.fixture
def run_address(page_workspace: Workspace, small_dataset: Dataset) -> dict[str, str]:
    """Query parameters of a run with anomalies."""
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity", contamination=0.01)
    _, run = detect(spec, small_dataset, workspace=page_workspace, actor=ACTOR)
    return {"run": run.id, "dataset": page_workspace.datasets.save(small_dataset)}


def add_verdicts(workspace: Workspace, run: str, verdicts: list[str], user: str = "bob") -> None:
    """Submit verdicts on the rows of an anomaly run, from the highest score down."""
    rows = load_detection(run, workspace).rows
    for position, verdict in enumerate(verdicts):
        row = feedback_operations.serialise_row(rows.loc[position, ["entity", "time", "score"]].to_dict())
        feedback_operations.submit_feedback(
            feedback_operations.FeedbackInput("anomalies", run, row, verdict),
            workspace=workspace,
            actor=Actor(user, "tests"),
        )  # type: ignore[arg-type]


def get_widget(app: AppTest, kind: str, prefix: str) -> Any:
    """Return the widget of this kind whose key starts with `prefix`."""
    return next(widget for widget in app.get(kind) if str(widget.key).startswith(prefix))


def save_feedback(app: AppTest, verdict: str, comment: str = "") -> AppTest:
    """Give a verdict on the selected row, and save it."""
    get_widget(app, "button_group", "verdict-choice-").set_value(verdict)
    get_widget(app, "text_input", "verdict-comment-").set_value(comment)
    app.run()
    return get_widget(app, "button", "verdict-save-").click().run()


def get_table(app: AppTest, key: str) -> pd.DataFrame:
    """Return the table of a page that has the column `key`."""
    return next(element.value for element in app.dataframe if key in element.value.columns)


# ---- verdicts on rows -----------------------------------------------------------------------------------------------


def test_verdict_is_stored_once_and_visible_to_colleague(
    page_workspace: Workspace, run_address: dict[str, str]
) -> None:
    app = save_feedback(open_page("analysis/anomalies.py", **run_address), "false_alarm", "a strike at the depot")
    assert not app.exception
    [record] = page_workspace.feedback.read_records()
    row = load_detection(run_address["run"], page_workspace).rows.iloc[0]
    assert (record.verdict, record.comment, record.run_id, record.page) == (
        "false_alarm",
        "a strike at the depot",
        run_address["run"],
        "anomalies",
    )
    assert record.row == {"entity": str(row["entity"]), "time": row["time"].isoformat(), "score": row["score"]}
    assert (record.model, record.dataset) == ("IsolationForest", run_address["dataset"])
    assert record.model_version
    assert f"Saved · `{record.id}`" in read_page_text(app)
    assert get_table(app, "verdict")["verdict"].iloc[0] == "✗ false alarm"
    colleague = open_page("analysis/anomalies.py", **run_address)
    assert "a strike at the depot" in "\n".join(element.value for element in colleague.text)
    assert get_table(colleague, "verdict")["verdict"].iloc[0] == "✗ false alarm"
    assert len(page_workspace.feedback.read_records()) == 1, "opening the page again stores nothing"


def test_verdict_event_contains_no_comment(page_workspace: Workspace, run_address: dict[str, str]) -> None:
    save_feedback(open_page("analysis/anomalies.py", **run_address), "true_alarm", "call Jeanne on 0612345678")
    event = page_workspace.events.read_events()[-1]
    assert (event.event, event.status, event.details.inputs["run"], event.details.inputs["verdict"]) == (
        "feedback",
        "completed",
        run_address["run"],
        "true_alarm",
    )
    assert "Jeanne" not in event.to_json_line()


def test_feedback_form_requires_verdict(page_workspace: Workspace, run_address: dict[str, str]) -> None:
    app = open_page("analysis/anomalies.py", **run_address)
    assert get_widget(app, "button", "verdict-save-").disabled
    assert not page_workspace.feedback.read_records()


def test_pending_verdict_shows_reason(
    page_workspace: Workspace, run_address: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeedbackStore(page_workspace.feedback.folder, Bucket("vigie", "eu-west-3", "ftp//nowhere", "key", "secret"))
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: replace(page_workspace, feedback=store))
    store.deliver_pending()  # as the background delivery does before the first click
    app = save_feedback(open_page("analysis/anomalies.py", **run_address), "true_alarm")
    assert not app.exception
    [record] = store.read_records()
    assert f"Saved on this server, pending delivery · `{record.id}`" in read_page_text(app)
    assert "The settings of S3 are not valid (" in read_page_text(app)
    assert "Records pending delivery to s3://vigie: 1." in read_page_text(open_page(PAGE))


def test_feedback_form_reports_full_disk(page_workspace: Workspace, run_address: dict[str, str]) -> None:
    page_workspace.feedback.folder.write_text("a file where a folder should be", encoding="utf-8")
    app = save_feedback(open_page("analysis/anomalies.py", **run_address), "true_alarm")
    assert not app.exception
    assert "was not saved: Not a directory" in read_page_text(app)
    assert page_workspace.events.read_events()[-1].log_level == "ERROR"


def test_clusters_and_forecasts_accept_verdicts(page_workspace: Workspace, small_dataset: Dataset) -> None:
    from core.tasks.clusters.run import cluster
    from core.tasks.clusters.spec import ClusteringSpec, list_clusterers
    from core.tasks.forecast.run import forecast
    from core.tasks.forecast.spec import ForecastSpec, list_forecasters

    digest = page_workspace.datasets.save(small_dataset)
    naive = ForecastSpec(list_forecasters()["seasonal-naive"](), horizon=2, alarm_level=0.8)
    runs = {
        "clusters": cluster(
            ClusteringSpec(list_clusterers()["dbscan"]()), small_dataset, workspace=page_workspace, actor=ACTOR
        )[1].id,
        "forecast": forecast(naive, small_dataset, workspace=page_workspace, actor=ACTOR)[1].id,
    }
    app = open_page("analysis/clusters.py", dataset=digest, run=runs["clusters"])
    assert not app.exception
    assert "Select a row to give a verdict." in read_page_text(app)
    tables = [element.value.columns for element in app.dataframe if "distance" in element.value.columns]
    assert ["verdict" in columns for columns in tables] == [True, False], "noise is judged, the cluster of a day is not"
    app = open_page("analysis/forecast.py", dataset=digest, run=runs["forecast"])
    app.session_state["forecast-view"] = "Alarms"
    app.run()
    assert not app.exception
    assert "Verdict on this alarm" in read_page_text(app)
    assert len(get_table(app, "verdict"))


# ---- the feedback page ----------------------------------------------------------------------------------------------


def show_view(app: AppTest, view: str) -> AppTest:
    app.session_state["feedback-view"] = view
    return app.run()


def test_feedback_page_without_feedback(page_workspace: Workspace) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "There is no feedback yet" in read_page_text(app)
    assert "No alarm with an adjustable threshold has a verdict yet" in read_page_text(
        show_view(app, "Threshold from verdicts")
    )


def test_feedback_page_accepts_general_feedback(page_workspace: Workspace, run_address: dict[str, str]) -> None:
    app = show_view(open_page(PAGE, run=run_address["run"]), "Give feedback")
    assert get_widget(app, "text_input", "feedback-run").value == run_address["run"]
    get_widget(app, "text_area", "feedback-comment").set_value('=HYPERLINK("http://evil")')
    app = get_widget(app, "button", "feedback-send").click().run()
    assert not app.exception
    [record] = page_workspace.feedback.read_records()
    assert f"`{record.id}`" in read_page_text(app)
    assert (record.page, record.run_id, record.model) == ("Vigie", run_address["run"], "IsolationForest")
    assert "said" not in record.key


def test_feedback_page_reports_empty_form(page_workspace: Workspace) -> None:
    app = get_widget(show_view(open_page(PAGE), "Give feedback"), "button", "feedback-send").click().run()
    assert "Give a verdict, a rating or a comment" in read_page_text(app)
    assert not page_workspace.feedback.read_records()
    assert get_widget(app, "text_area", "feedback-comment").proto.max_chars == MAX_COMMENT_CHARS


def test_feedback_page_counts_filters_and_opens_runs(page_workspace: Workspace, run_address: dict[str, str]) -> None:
    add_verdicts(page_workspace, run_address["run"], ["true_alarm", "true_alarm", "false_alarm", "unsure"])
    feedback_operations.submit_feedback(
        feedback_operations.FeedbackInput("Vigie", rating=4, comment="a fine product"),
        workspace=page_workspace,
        actor=Actor("eve", "tests"),
    )
    app = open_page(PAGE)
    assert not app.exception
    figures = {metric.label: metric.value for metric in app.metric}
    assert (figures["Records"], figures["✓ true alarm"], figures["✗ false alarm"], figures["Rating"]) == (
        "5",
        "2",
        "1",
        "4 ★",
    )
    [row] = get_table(app, "precision").to_dict("records")
    assert row["name"] == "Anomalies · IsolationForest"
    assert row["precision"].startswith("66.7%")
    app = get_widget(app, "multiselect", "said-user").set_value(["eve"]).run()
    assert {metric.label: metric.value for metric in app.metric}["Records"] == "1"
    assert "No alarm has the verdict true or false yet." in read_page_text(app)
    get_widget(app, "text_input", "said-text").set_value("no such words").run()
    assert "No feedback matches these filters." in read_page_text(app)


# ---- thresholds from verdicts ---------------------------------------------------------------------------------------


def test_threshold_review_proposes_and_accepts_threshold(
    page_workspace: Workspace, run_address: dict[str, str], worker: Worker
) -> None:
    before = load_detection(run_address["run"], page_workspace)
    add_verdicts(
        page_workspace, run_address["run"], ["true_alarm", "true_alarm", "true_alarm", "false_alarm", "false_alarm"]
    )
    app = show_view(open_page(PAGE, run=run_address["run"]), "Threshold from verdicts")
    assert not app.exception
    figures = {metric.label: metric.value for metric in app.metric}
    assert (figures["Rows flagged"], figures["False alarms removed"], figures["True alarms lost"]) == ("3", "2", "0")
    assert len(get_table(app, "score")) == len(before.anomalies) - 3
    app = wait_for_job(click_button(app, "accept-threshold"))
    assert not app.exception
    assert not app.error
    assert app.query_params["run"] not in ("", run_address["run"])
    assert {metric.label: metric.value for metric in app.metric}["Flagged rows"] == "3", "the page shows the new result"
    assert "chosen from verdicts on run" in read_page_text(app)
    assert len(load_detection(run_address["run"], page_workspace).anomalies) == len(before.anomalies), (
        "the old run stays unchanged"
    )


def test_sequence_events_accept_verdicts(page_workspace: Workspace, worker: Worker) -> None:
    from core.tasks.sequences.run import load_sequences, train
    from core.tasks.sequences.spec import SequenceSpec, list_detectors
    from tests.support.sample_sequences import make_series

    dataset = make_series(2)
    spec = SequenceSpec(list_detectors()["pca-residual"](), threshold="contamination", amount=0.1)
    detection, sequence_run = train(spec, dataset, workspace=page_workspace, actor=ACTOR)
    address = {"run": sequence_run.id, "dataset": page_workspace.datasets.save(dataset)}
    assert len(detection.events) > 3
    app = save_feedback(open_page("analysis/sequences.py", **address), "true_alarm")
    assert not app.exception
    assert get_table(app, "causes")["verdict"].iloc[0] == "✓ true alarm"
    for position in (1, 2):
        event = detection.events.loc[position]
        row = feedback_operations.serialise_row(
            {"entity": event["entity"], "time": event["start"], "end": event["end"], "score": event["peak"]}
        )
        feedback_operations.submit_feedback(
            feedback_operations.FeedbackInput("sequences", sequence_run.id, row, "false_alarm"),
            workspace=page_workspace,
            actor=ACTOR,
        )
    app = wait_for_job(
        click_button(show_view(open_page(PAGE, run=sequence_run.id), "Threshold from verdicts"), "accept-threshold")
    )
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Events"] == "1"
    assert "no target" in {metric.delta for metric in app.metric}
    after = load_sequences(str(app.query_params["run"]), page_workspace)
    assert after.method == "verdicts"
    assert after.events["peak"].iloc[0] == detection.events["peak"].iloc[0]


def test_threshold_review_reports_run_without_threshold(page_workspace: Workspace, small_dataset: Dataset) -> None:
    from core.tasks.clusters.run import cluster
    from core.tasks.clusters.spec import ClusteringSpec, list_clusterers

    run_id = cluster(
        ClusteringSpec(list_clusterers()["kmeans"](n_clusters=2)), small_dataset, workspace=page_workspace, actor=ACTOR
    )[1].id
    app = show_view(open_page(PAGE, run=run_id), "Threshold from verdicts")
    assert "The threshold of the run" in "\n".join(str(error.value) for error in app.error)
