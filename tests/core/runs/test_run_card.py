"""Run card: its content, the escaping of untrusted text, and the command that repeats the run."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.quality.findings import Repair
from core.data.samples import load_sample
from core.errors import DataError, NotFoundError
from core.language import Language
from core.runs.card import build_run_card
from core.runs.card_html import render_html
from core.runs.tracked_run import track_run
from core.settings import ROOT
from core.spec.command_line import reproduce_command
from core.spec.spec import ApplySpec, ThresholdSpec
from core.spec.task import get_task
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import apply_model, apply_threshold, detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import create_workspace, find_free_port
from tests.support.commands import run_vigie

ALICE = Actor("alice", "tests")
SCRIPT_FILE_NAME = "<script>alert(1)</script>.csv"


@pytest.fixture(scope="module")
def kpis() -> Dataset:
    """The generated KPI sample."""
    return load_sample("kpi_matrix")


@pytest.fixture
def command_workspace(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Workspace that a command opens in the data folder `tmp_path`."""
    return workspace


def repeat_run(command: str, folder: Path) -> str:
    """Run the command of a card. Return the id of the new run."""
    arguments = shlex.split(command)
    assert arguments[0] == "python"
    assert arguments[1:3] == ["-m", "core"]
    process = run_vigie(folder, *arguments[3:], "--json", MLFLOW_TRACKING_URI="")
    assert process.returncode == 0, process.stderr
    return str(json.loads(process.stdout)["run_id"])


def detect_anomalies(dataset: Dataset, workspace: Workspace, **options: object) -> str:
    forest = list_detectors()["isolation-forest"](n_estimators=15, random_state=7)
    fields = {"baseline": "entity", "contamination": 0.02, **options}
    return detect(DetectionSpec(forest, **fields), dataset, workspace=workspace, actor=ALICE)[1].id  # type: ignore[arg-type]


# ---- repeated runs --------------------------------------------------------------------------------------------------


def test_run_card_repeats_detection_with_selection(
    command_workspace: Workspace, tmp_path: Path, sample: Dataset
) -> None:
    command_workspace.datasets.save(sample)
    selection = {"entities": tuple(sample.entities[:2]), "start": "2023-02-01"}
    run = detect_anomalies(sample, command_workspace, **selection, risk=0.001, incomplete="impute")
    card = build_run_card(run, command_workspace)
    repeated = load_detection(repeat_run(card.repeat.command, tmp_path), command_workspace)
    original = load_detection(run, command_workspace)
    pd.testing.assert_frame_equal(repeated.rows, original.rows, rtol=1e-9)
    assert repeated.spec == original.spec
    assert set(original.rows["entity"].unique()) == set(sample.entities[:2])


def test_run_card_repeats_model_application(command_workspace: Workspace, tmp_path: Path, sample: Dataset) -> None:
    command_workspace.datasets.save(sample)
    model_run = detect_anomalies(sample, command_workspace)
    _, run = apply_model(
        ApplySpec(model_run, entities=tuple(sample.entities[1:2])), sample, workspace=command_workspace, actor=ALICE
    )
    card = build_run_card(run.id, command_workspace)
    assert card.model.applied_from == model_run
    repeated = load_detection(repeat_run(card.repeat.command, tmp_path), command_workspace)
    pd.testing.assert_frame_equal(repeated.rows, load_detection(run.id, command_workspace).rows, rtol=1e-9)


def test_run_card_repeats_clustering(command_workspace: Workspace, tmp_path: Path, sample: Dataset) -> None:
    from core.tasks.clusters.run import cluster, load_clustering
    from core.tasks.clusters.spec import ClusteringSpec, list_clusterers

    command_workspace.datasets.save(sample)
    kmeans = list_clusterers()["kmeans"](n_clusters=3, n_init=2)
    spec = ClusteringSpec(kmeans, look="shape", components=2, entities=tuple(sample.entities[:3]))
    clustering, run = cluster(spec, sample, workspace=command_workspace, actor=ALICE)
    card = build_run_card(run.id, command_workspace)
    repeated = load_clustering(repeat_run(card.repeat.command, tmp_path), command_workspace)
    pd.testing.assert_frame_equal(repeated.rows, load_clustering(run.id, command_workspace).rows, rtol=1e-9)
    assert repeated.spec == clustering.spec
    assert card.counts["silhouette"] == pytest.approx(clustering.quality["silhouette"])


def test_run_card_repeats_forecast_and_recalibration(
    command_workspace: Workspace, tmp_path: Path, sample: Dataset
) -> None:
    from core.tasks.forecast.run import forecast, load_forecast, recalibrate
    from core.tasks.forecast.spec import ForecastSpec, RecalibrationSpec, list_forecasters

    subset = sample.filter_rows(sample.entities[:2])
    command_workspace.datasets.save(subset)
    ridge = list_forecasters()["ridge"](alpha=2.5)
    spec = ForecastSpec(ridge, horizon=3, quantiles=(0.1, 0.5, 0.9), weather="none")
    _, run = forecast(spec, subset, workspace=command_workspace, actor=ALICE)
    card = build_run_card(run.id, command_workspace)
    repeated = load_forecast(repeat_run(card.repeat.command, tmp_path), command_workspace)
    original = load_forecast(run.id, command_workspace)
    pd.testing.assert_frame_equal(repeated.rows, original.rows, rtol=1e-9)
    pd.testing.assert_frame_equal(repeated.scores, original.scores, rtol=1e-9)
    assert card.intervals is not None
    assert (card.intervals.low, card.intervals.high, card.intervals.promised) == (0.1, 0.9, pytest.approx(0.8))
    assert card.intervals.measured == pytest.approx(original.metrics()["coverage"])
    _, recalibrated_run = recalibrate(RecalibrationSpec(run=run.id), subset, workspace=command_workspace, actor=ALICE)
    command = build_run_card(recalibrated_run.id, command_workspace).repeat.command
    assert f"--recalibrate={run.id}" in command
    repeated = load_forecast(repeat_run(command, tmp_path), command_workspace)
    pd.testing.assert_frame_equal(repeated.rows, load_forecast(recalibrated_run.id, command_workspace).rows, rtol=1e-9)


@pytest.mark.parametrize(
    ("detector", "settings", "asked"),
    [
        ("pca-residual", {"variance": 0.9}, {"threshold": "alarms", "amount": 3.0, "per": "1000 rows"}),
        ("sgmvrnn", {"steps": 4, "window": 6, "batch_size": 16, "seed": 3}, {"threshold": "pot", "amount": 0.005}),
    ],
)
def test_run_card_repeats_sequence_training(  # type: ignore[no-untyped-def]
    command_workspace: Workspace,
    tmp_path: Path,
    kpis: Dataset,
    detector: str,
    settings: dict[str, Any],
    asked: dict[str, Any],
) -> None:
    """The deep model also gives the same scores with the same seed on the same machine."""
    from core.tasks.sequences.run import apply_model, load_sequences, train
    from core.tasks.sequences.spec import SequenceSpec, list_detectors

    subset = kpis.take_rows(np.arange(600))
    command_workspace.datasets.save(subset)
    spec = SequenceSpec(list_detectors()[detector](**settings), until="400", scaling="standard", **asked)
    _, run = train(spec, subset, workspace=command_workspace, actor=ALICE)
    repeated = load_sequences(
        repeat_run(build_run_card(run.id, command_workspace).repeat.command, tmp_path), command_workspace
    )
    original = load_sequences(run.id, command_workspace)
    pd.testing.assert_frame_equal(repeated.rows, original.rows, rtol=1e-9)
    assert repeated.spec == original.spec
    if detector == "pca-residual":
        _, applied = apply_model(ApplySpec(run.id), subset, workspace=command_workspace, actor=ALICE)
        repeated = load_sequences(
            repeat_run(build_run_card(applied.id, command_workspace).repeat.command, tmp_path), command_workspace
        )
        pd.testing.assert_frame_equal(repeated.rows, load_sequences(applied.id, command_workspace).rows, rtol=1e-9)


def test_run_card_repeats_accepted_threshold(command_workspace: Workspace, tmp_path: Path, sample: Dataset) -> None:
    command_workspace.datasets.save(sample)
    run = detect_anomalies(sample, command_workspace)
    detection, threshold_run = apply_threshold(
        ThresholdSpec(run, 0.61), sample, workspace=command_workspace, actor=ALICE
    )
    card = build_run_card(threshold_run.id, command_workspace)
    assert card.threshold is not None
    assert card.threshold.method == "verdicts"
    assert card.threshold.promised is None
    repeated = load_detection(repeat_run(card.repeat.command, tmp_path), command_workspace)
    pd.testing.assert_frame_equal(repeated.rows, detection.rows, rtol=1e-9, check_categorical=False)


def is_valid_argument(text: str) -> bool:
    return "\0" not in text


@given(st.lists(st.text(min_size=1).filter(is_valid_argument), min_size=1, max_size=3), st.floats(1e-9, 0.5))
def test_run_card_command_survives_shell_parsing(entities: list[str], share: float) -> None:
    """A shell splits the command into the intended arguments for any names of entities."""
    spec = DetectionSpec(baseline="entity", contamination=share, dataset="0" * 64, entities=tuple(entities))
    arguments = shlex.split(reproduce_command(get_task("anomalies"), spec))
    assert arguments[:5] == ["python", "-m", "core", "detect", "0" * 64]
    assert [
        argument.removeprefix("--entity=") for argument in arguments if argument.startswith("--entity=")
    ] == entities
    assert (
        float(next(argument for argument in arguments if argument.startswith("--contamination=")).partition("=")[2])
        == share
    )


def test_run_card_command_quotes_hostile_entity(command_workspace: Workspace, tmp_path: Path, sample: Dataset) -> None:
    """`sh` runs the command. The name of the entity looks like an option, closes quotes and calls a program."""
    name = f"--x'; touch {tmp_path / 'owned'}; echo \"$(id)` #\n"
    renamed = sample.filter_rows(sample.entities[:1])
    index = pd.MultiIndex.from_arrays([[name] * len(renamed), renamed.time], names=["entity", "time"])
    hostile_dataset = renamed.replace(
        **{
            part: None if getattr(renamed, part) is None else getattr(renamed, part).set_axis(index)
            for part in ("frame", "covariates", "context")
        }
    )
    command_workspace.datasets.save(hostile_dataset)
    run = detect_anomalies(hostile_dataset, command_workspace, entities=(name,))
    command = build_run_card(run, command_workspace).repeat.command
    shell_line = f"{shlex.quote(sys.executable)}{command.removeprefix('python')} --json"
    environment = os.environ | {"VIGIE_DATA_DIR": str(tmp_path), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": ""}
    process = subprocess.run(
        ["sh", "-c", shell_line], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert process.returncode == 0, process.stderr
    assert not (tmp_path / "owned").exists()
    repeated = load_detection(json.loads(process.stdout)["run_id"], command_workspace)
    assert repeated.spec.entities == (name,)


# ---- content of the card --------------------------------------------------------------------------------------------


class TagCollector(HTMLParser):
    """Parser that collects the tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def hostile_run(command_workspace: Workspace, sample: Dataset) -> str:
    """Id of a run on data whose file, entity and repair names are HTML code."""
    subset = sample.filter_rows(sample.entities[:1])
    index = pd.MultiIndex.from_arrays(
        [["\"><img src=x onerror='alert(2)'>"] * len(subset), subset.time], names=["entity", "time"]
    )
    parts = {
        part: None if getattr(subset, part) is None else getattr(subset, part).set_axis(index)
        for part in ("frame", "covariates", "context")
    }
    hostile_dataset = subset.replace(
        **parts, files=(SCRIPT_FILE_NAME,), recipe=(Repair("<b>kind</b>", {"note": "</pre><script>alert(3)</script>"}),)
    )
    command_workspace.datasets.save(hostile_dataset)
    return detect_anomalies(hostile_dataset, command_workspace, entities=(hostile_dataset.entities[0],))


def test_run_card_page_escapes_untrusted_text(command_workspace: Workspace, hostile_run: str) -> None:
    card = build_run_card(hostile_run, command_workspace)
    page = TagCollector(
        render_html(replace(card, about=replace(card.about, user="{{ 7 * 7 }}<i>", error="<svg onload=alert(4)>")))
    )
    tag_names = {tag for tag, _ in page.tags}
    assert not tag_names & {"script", "img", "iframe", "object", "embed", "b", "i", "link", "form", "a"}
    attributes = [(name, value) for _, attrs in page.tags for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("src", "href")]
    assert not [value for _, value in attributes if value and re.search(r"https?:|javascript:", value)]
    assert SCRIPT_FILE_NAME in page.text
    assert "{{ 7 * 7 }}<i>" in page.text
    assert "alert(3)" in page.text


def test_run_card_page_shows_details_of_run(command_workspace: Workspace, sample: Dataset) -> None:
    command_workspace.datasets.save(sample)
    run = detect_anomalies(sample, command_workspace, risk=0.001)
    card = build_run_card(run, command_workspace)
    page = TagCollector(render_html(card)).text
    for word in (
        run,
        sample.digest,
        "IsolationForest",
        "n_estimators",
        "alice",
        "scikit-learn",
        "no labels",
        card.repeat.command.split()[3],
        "codecarbon",
    ):
        assert word in page, word
    assert card.model.seed == 7
    assert card.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert len(card.versions["revision"]) in (0, 40)
    assert card.threshold is not None
    assert (card.threshold.method, card.threshold.promised) == ("pot", 0.001)
    detection = load_detection(run, command_workspace)
    assert sum(card.counts[name] for name in ("mild", "notable", "rare", "extreme")) == len(detection.anomalies)
    assert card.cost.seconds
    assert card.cost.emissions_kg
    assert "<svg" in render_html(card)


def test_run_card_json_is_versioned_and_untranslated(command_workspace: Workspace, sample: Dataset) -> None:
    run = detect_anomalies(sample, command_workspace)
    content = json.loads(build_run_card(run, command_workspace).to_json())
    assert content["schema_version"] == 1
    assert content["data"]["digest"] == sample.digest
    assert content["threshold"]["why"]["template"].startswith("The threshold flags")
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_run_card_page_in_french(command_workspace: Workspace, sample: Dataset) -> None:
    card = build_run_card(detect_anomalies(sample, command_workspace), command_workspace)
    french = render_html(card, Language("fr"))
    assert '<html lang="fr">' in french
    assert "<h2>Seuil</h2>" in french
    assert "Anomalies · sample_gas_daily" in french
    assert french.startswith("<!doctype html>")


def test_run_card_compares_forecast_with_naive_forecasts(command_workspace: Workspace, sample: Dataset) -> None:
    from core.tasks.forecast.run import forecast
    from core.tasks.forecast.spec import ForecastSpec, list_forecasters

    subset = sample.filter_rows(sample.entities[:2])
    naive = ForecastSpec(list_forecasters()["seasonal-naive"](), horizon=2)
    _, run = forecast(naive, subset, workspace=command_workspace, actor=ALICE)
    card = build_run_card(run.id, command_workspace)
    assert card.score_card is not None
    assert [line for line, _ in card.score_card.lines] == ["seasonal-naive", "naive1", "naive7"]
    wape = dict(zip(card.score_card.metrics, card.score_card.lines[0][1], strict=True))["wape"]
    assert wape == pytest.approx(run.metrics["wape"])
    assert card.picture is not None
    assert set(card.picture.series) == {"seasonal-naive", "naive1", "naive7"}
    assert "polyline" in render_html(card)


def test_run_card_with_labels_shows_baselines(command_workspace: Workspace, kpis: Dataset) -> None:
    from core.tasks.sequences.run import train
    from core.tasks.sequences.spec import SequenceSpec, list_detectors

    subset = kpis.take_rows(np.arange(600))
    labels = pd.Series(np.arange(600) % 50 == 7, index=subset.frame.index)
    spec = SequenceSpec(list_detectors()["pca-residual"](), until="400", threshold="best_f1")
    _, run = train(spec, subset.replace(labels=labels), workspace=command_workspace, actor=ALICE)
    card = build_run_card(run.id, command_workspace)
    assert card.score_card is not None
    assert {line for line, _ in card.score_card.lines} >= {"pca-residual", "random", "mean_distance", "pca"}
    assert "oracle" in str(card.threshold.why) if card.threshold else False
    assert "--threshold=best_f1" in card.repeat.command


def test_run_card_repeats_detector_comparison(command_workspace: Workspace, tmp_path: Path, kpis: Dataset) -> None:
    from core.tasks.comparison.run import compare
    from core.tasks.comparison.spec import ComparisonSpec

    subset = kpis.take_rows(np.arange(500))
    command_workspace.datasets.save(subset)
    _, run = compare(ComparisonSpec(until="300"), subset, workspace=command_workspace, actor=ALICE)
    card = build_run_card(run.id, command_workspace)
    assert card.score_card is not None
    assert len(card.score_card.lines) >= 6
    render_html(card)
    repeated_card = build_run_card(repeat_run(card.repeat.command, tmp_path), command_workspace)
    assert [line for line, _ in repeated_card.score_card.lines] == [line for line, _ in card.score_card.lines]  # type: ignore[union-attr]
    assert repeated_card.metrics["rows_scored"] == card.metrics["rows_scored"]


# ---- failed, pending and remote runs --------------------------------------------------------------------------------


def record_failed_run(dataset: Dataset, workspace: Workspace) -> str:
    with (
        pytest.raises(DataError),
        track_run("anomalies", "IsolationForest", {"contamination": 0.1}, dataset, ALICE, workspace) as run,
    ):
        raise DataError("Nothing is left of {file} at https://bob:secret@host/.", file="x.csv")
    return run.id


def test_run_card_of_failed_run(command_workspace: Workspace, sample: Dataset) -> None:
    card = build_run_card(record_failed_run(sample, command_workspace), command_workspace)
    assert card.about.status == "failed"
    assert "Nothing is left of x.csv" in card.about.error
    assert "secret" not in card.to_json()
    assert card.repeat.command == ""
    assert "did not complete" in str(card.repeat.notes[0])
    assert "failed" in TagCollector(render_html(card)).text


def test_run_card_of_pending_run(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    offline_workspace = create_workspace(tmp_path, empty_store, f"http://127.0.0.1:{find_free_port()}")
    run = detect_anomalies(sample, offline_workspace)
    card = build_run_card(run, offline_workspace)
    assert card.about.is_pending
    assert card.about.task == "anomalies"
    assert card.repeat.command
    assert "waiting for delivery to MLflow" in TagCollector(render_html(card)).text
    assert build_run_card(record_failed_run(sample, offline_workspace), offline_workspace).about.status == "failed"


def test_run_card_is_same_on_another_machine(command_workspace: Workspace, tmp_path: Path, sample: Dataset) -> None:
    command_workspace.datasets.save(sample)
    run = detect_anomalies(sample, command_workspace)
    local_card = build_run_card(run, command_workspace)
    remote_workspace = Workspace.in_folder(
        tmp_path / "elsewhere", Tracking(command_workspace.tracking.uri, None, tmp_path / "elsewhere" / "runs")
    )
    remote_card = build_run_card(run, remote_workspace)
    assert remote_card.about.task == "anomalies"
    assert not remote_card.data.stored_here
    assert remote_card.data.recipe == local_card.data.recipe == ()
    assert remote_card.data.part == local_card.data.part
    assert remote_card.threshold == local_card.threshold
    assert remote_card.repeat.command == local_card.repeat.command
    assert "Replace the digest by the names of the files" in str(remote_card.repeat.notes[0])
    folder = remote_workspace.tracking.spool.artifact_dir(remote_card.about.key) / "result"
    assert Detection.load(folder).spec.dataset == sample.digest


@pytest.mark.parametrize("run", ["", "f" * 32, "../../etc/passwd"])
def test_run_card_rejects_unknown_run(command_workspace: Workspace, run: str) -> None:
    with pytest.raises(NotFoundError):
        build_run_card(run, command_workspace)
