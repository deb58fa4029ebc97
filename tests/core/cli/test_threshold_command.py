"""Command `python -m core threshold`, run in a process of its own."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from core.actor import Actor
from core.data.dataset import Dataset
from core.operations import feedback
from core.operations.threshold_from_feedback import load_flagged_rows, tabulate_alarms
from core.tasks.anomalies.run import detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from tests.conftest import Command
from tests.support.commands import assert_one_line_error, read_json_output, run_vigie

ALICE = Actor("alice", "tests")


@pytest.fixture
def threshold(tmp_path: Path, workspace: Workspace) -> Command:
    """Runner of `python -m core threshold …` on the data folder of `workspace`."""
    return partial(run_vigie, tmp_path, "threshold", MLFLOW_TRACKING_URI="")


def detect_rows(dataset: Dataset, workspace: Workspace) -> str:
    workspace.datasets.save(dataset)
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity", contamination=0.01)
    return detect(spec, dataset, workspace=workspace, actor=ALICE)[1].id


def test_threshold_command_shows_alarms_and_keeps_one(
    threshold: Command, sample: Dataset, workspace: Workspace, tmp_path: Path
) -> None:
    run = detect_rows(sample.filter_rows(sample.entities[:2]), workspace)
    detection = load_detection(run, workspace)
    answer = read_json_output(threshold(run, "--json", "--out", tmp_path / "table.csv"))
    assert (answer["run_id"], answer["threshold"]) == (run, detection.threshold)
    current = next(line for line in answer["thresholds"] if line["threshold"] == detection.threshold)
    assert current["flagged_rows"] == len(detection.anomalies)
    assert 0 < current["incidents"] <= current["flagged_rows"]
    assert len(pd.read_csv(tmp_path / "table.csv")) == len(answer["thresholds"]) > 50
    chosen = next(line for line in answer["thresholds"] if line["flagged_rows"] == 3)
    assert "* " in threshold(run).stdout
    kept = read_json_output(threshold(run, "--value", chosen["threshold"], "--keep", "--json"))
    assert kept["metrics"]["anomalies"] == 3
    assert "chosen by hand on run" in kept["notes"][0]
    after = load_detection(kept["run_id"], workspace)
    assert (after.method, after.target_rate) == ("chosen", None)
    assert_one_line_error(threshold(run, "--keep"), 2, "--value is required")
    assert_one_line_error(threshold(run, "--value", "nan"), 2, "not a finite number")


def test_table_of_alarms_has_precision_from_verdicts_and_labels(sample: Dataset, workspace: Workspace) -> None:
    part = sample.filter_rows(sample.entities[:2])
    frame = part.frame
    labels = pd.Series(False, index=frame.index)
    labels.iloc[::40] = True
    labelled = part.replace(labels=labels)
    run = detect_rows(labelled, workspace)
    detection = load_detection(run, workspace)
    for position, verdict in enumerate(["true_alarm", "false_alarm", "true_alarm"]):
        row = feedback.serialise_row(detection.rows.loc[position, ["entity", "time", "score"]].to_dict())
        entry = feedback.FeedbackInput("anomalies", run, row, verdict)  # type: ignore[arg-type]
        feedback.submit_feedback(entry, workspace=workspace, actor=ALICE)
    flagged = load_flagged_rows(run, workspace)
    table = tabulate_alarms(flagged)
    assert table.loc[table["verdicts_true"] + table["verdicts_false"] == 3, "verdicts_precision"].iloc[0] == 2 / 3
    known = labels[labels].index
    is_known = [(row.entity, row.time) in known for row in detection.rows.itertuples()]
    every = table.iloc[-1]
    assert every["flagged_rows"] == len(detection.rows)
    assert every["precision"] == pytest.approx(sum(is_known) / len(is_known))
    assert every["recall"] == 1.0
