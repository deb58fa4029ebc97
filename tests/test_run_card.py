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
from core.runs.card import run_card
from core.runs.card_html import html
from core.runs.tracked_run import tracked_run
from core.spec.command_line import command_line
from core.spec.spec import ApplySpec, ThresholdSpec
from core.spec.task import get_task
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import apply_model, apply_threshold, detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, detectors
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from pages.components.i18n import catalogue
from tests.conftest import ROOT, free_port, workplace_in

BY = Actor("alice", "tests")
SCRIPT = "<script>alert(1)</script>.csv"


@pytest.fixture(scope="module")
def kpis() -> Dataset:
    """The generated KPI sample."""
    return load_sample("kpi_matrix")


@pytest.fixture
def here(place: Workspace, tmp_path: Path) -> Workspace:
    """Workspace that a command opens in the data folder `tmp_path`."""
    return place


def repeated(command: str, folder: Path) -> str:
    """Run the command of a card. Return the id of the new run."""
    words = shlex.split(command)
    assert words[0] == "python"
    environment = os.environ | {"VIGIE_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": ""}
    ran = subprocess.run(
        [sys.executable, *words[1:], "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return str(json.loads(ran.stdout)["run_id"])


def detected(dataset: Dataset, at: Workspace, **asked: object) -> str:
    forest = detectors()["isolation-forest"](n_estimators=15, random_state=7)
    fields = {"compare_with": "entity", "contamination": 0.02, **asked}
    return detect(DetectionSpec(forest, **fields), dataset, workspace=at, actor=BY)[1].id  # type: ignore[arg-type]


# ---- repeated runs --------------------------------------------------------------------------------------------------


def test_a_detection_is_repeated_with_its_selection(here: Workspace, tmp_path: Path, sample: Dataset) -> None:
    here.datasets.save(sample)
    part = {"entities": tuple(sample.entities[:2]), "start": "2023-02-01"}
    run = detected(sample, here, **part, risk=0.001, incomplete="impute")
    card = run_card(run, here)
    again = load_detection(repeated(card.repeat.command, tmp_path), here)
    first = load_detection(run, here)
    pd.testing.assert_frame_equal(again.rows, first.rows, rtol=1e-9)
    assert again.spec == first.spec
    assert set(first.rows["entity"].unique()) == set(sample.entities[:2])


def test_a_saved_model_is_applied_again(here: Workspace, tmp_path: Path, sample: Dataset) -> None:
    here.datasets.save(sample)
    fitted = detected(sample, here)
    _, run = apply_model(ApplySpec(fitted, entities=tuple(sample.entities[1:2])), sample, workspace=here, actor=BY)
    card = run_card(run.id, here)
    assert card.model.applied_from == fitted
    again = load_detection(repeated(card.repeat.command, tmp_path), here)
    pd.testing.assert_frame_equal(again.rows, load_detection(run.id, here).rows, rtol=1e-9)


def test_a_clustering_is_repeated(here: Workspace, tmp_path: Path, sample: Dataset) -> None:
    from core.tasks.clusters.run import cluster, load_clustering
    from core.tasks.clusters.spec import ClusteringSpec, clusterers

    here.datasets.save(sample)
    kmeans = clusterers()["kmeans"](n_clusters=3, n_init=2)
    spec = ClusteringSpec(kmeans, look="shape", components=2, entities=tuple(sample.entities[:3]))
    found, run = cluster(spec, sample, workspace=here, actor=BY)
    card = run_card(run.id, here)
    again = load_clustering(repeated(card.repeat.command, tmp_path), here)
    pd.testing.assert_frame_equal(again.rows, load_clustering(run.id, here).rows, rtol=1e-9)
    assert again.spec == found.spec
    assert card.counts["silhouette"] == pytest.approx(found.quality["silhouette"])


def test_a_forecast_is_repeated_and_so_are_its_new_intervals(here: Workspace, tmp_path: Path, sample: Dataset) -> None:
    from core.tasks.forecast.run import forecast, load_forecast, recalibrate
    from core.tasks.forecast.spec import ForecastSpec, RecalibrationSpec, forecasters

    small = sample.select(sample.entities[:2])
    here.datasets.save(small)
    ridge = forecasters()["ridge"](alpha=2.5)
    spec = ForecastSpec(ridge, horizon=3, quantiles=(0.1, 0.5, 0.9), weather="none")
    _, run = forecast(spec, small, workspace=here, actor=BY)
    card = run_card(run.id, here)
    again = load_forecast(repeated(card.repeat.command, tmp_path), here)
    first = load_forecast(run.id, here)
    pd.testing.assert_frame_equal(again.rows, first.rows, rtol=1e-9)
    pd.testing.assert_frame_equal(again.scores, first.scores, rtol=1e-9)
    assert card.intervals is not None
    assert (card.intervals.low, card.intervals.high, card.intervals.promised) == (0.1, 0.9, pytest.approx(0.8))
    assert card.intervals.measured == pytest.approx(first.metrics()["coverage"])
    _, better = recalibrate(RecalibrationSpec(run=run.id), small, workspace=here, actor=BY)
    command = run_card(better.id, here).repeat.command
    assert f"--recalibrate={run.id}" in command
    again = load_forecast(repeated(command, tmp_path), here)
    pd.testing.assert_frame_equal(again.rows, load_forecast(better.id, here).rows, rtol=1e-9)


@pytest.mark.parametrize(
    ("detector", "settings", "asked"),
    [
        ("pca-residual", {"variance": 0.9}, {"threshold": "alarms", "amount": 3.0, "per": "1000 rows"}),
        ("sgmvrnn", {"steps": 4, "window": 6, "batch_size": 16, "seed": 3}, {"threshold": "pot", "amount": 0.005}),
    ],
)
def test_sequences_are_repeated(  # type: ignore[no-untyped-def]
    here: Workspace, tmp_path: Path, kpis: Dataset, detector: str, settings: dict[str, Any], asked: dict[str, Any]
) -> None:
    """The deep model also gives the same scores with the same seed on the same machine."""
    from core.tasks.sequences.run import apply_model, load_sequences, train
    from core.tasks.sequences.spec import SequenceSpec, detectors

    few = kpis.rows(np.arange(600))
    here.datasets.save(few)
    spec = SequenceSpec(detectors()[detector](**settings), until="400", scaling="standard", **asked)
    _, run = train(spec, few, workspace=here, actor=BY)
    again = load_sequences(repeated(run_card(run.id, here).repeat.command, tmp_path), here)
    first = load_sequences(run.id, here)
    pd.testing.assert_frame_equal(again.rows, first.rows, rtol=1e-9)
    assert again.spec == first.spec
    if detector == "pca-residual":
        _, applied = apply_model(ApplySpec(run.id), few, workspace=here, actor=BY)
        again = load_sequences(repeated(run_card(applied.id, here).repeat.command, tmp_path), here)
        pd.testing.assert_frame_equal(again.rows, load_sequences(applied.id, here).rows, rtol=1e-9)


def test_a_threshold_that_people_chose_is_repeated(here: Workspace, tmp_path: Path, sample: Dataset) -> None:
    here.datasets.save(sample)
    run = detected(sample, here)
    found, moved = apply_threshold(ThresholdSpec(run, 0.61), sample, workspace=here, actor=BY)
    card = run_card(moved.id, here)
    assert card.threshold is not None
    assert card.threshold.method == "verdicts"
    assert card.threshold.promised is None
    again = load_detection(repeated(card.repeat.command, tmp_path), here)
    pd.testing.assert_frame_equal(again.rows, found.rows, rtol=1e-9, check_categorical=False)


def hostile(text: str) -> bool:
    return "\0" not in text


@given(st.lists(st.text(min_size=1).filter(hostile), min_size=1, max_size=3), st.floats(1e-9, 0.5))
def test_a_command_survives_the_shell(entities: list[str], share: float) -> None:
    """A shell splits the command into the intended arguments for any names of entities."""
    spec = DetectionSpec(compare_with="entity", contamination=share, dataset="0" * 64, entities=tuple(entities))
    words = shlex.split(command_line(get_task("anomalies"), spec))
    assert words[:5] == ["python", "-m", "core", "detect", "0" * 64]
    assert [word.removeprefix("--entity=") for word in words if word.startswith("--entity=")] == entities
    assert float(next(word for word in words if word.startswith("--contamination=")).partition("=")[2]) == share


def test_a_real_shell_and_a_hostile_entity(here: Workspace, tmp_path: Path, sample: Dataset) -> None:
    """`sh` runs the command. The name of the entity looks like an option, closes quotes and calls a program."""
    name = f"--x'; touch {tmp_path / 'owned'}; echo \"$(id)` #\n"
    renamed = sample.select(sample.entities[:1])
    index = pd.MultiIndex.from_arrays([[name] * len(renamed), renamed.time], names=["entity", "time"])
    other = renamed.replace(
        **{
            part: None if getattr(renamed, part) is None else getattr(renamed, part).set_axis(index)
            for part in ("frame", "drivers", "context")
        }
    )
    here.datasets.save(other)
    run = detected(other, here, entities=(name,))
    command = run_card(run, here).repeat.command
    line = f"{shlex.quote(sys.executable)}{command.removeprefix('python')} --json"
    environment = os.environ | {"VIGIE_DATA_DIR": str(tmp_path), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": ""}
    ran = subprocess.run(
        ["sh", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "owned").exists()
    again = load_detection(json.loads(ran.stdout)["run_id"], here)
    assert again.spec.entities == (name,)


# ---- content of the card --------------------------------------------------------------------------------------------


class Tags(HTMLParser):
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
def hostile_run(here: Workspace, sample: Dataset) -> str:
    """Id of a run on data whose file, entity and repair names are HTML code."""
    some = sample.select(sample.entities[:1])
    index = pd.MultiIndex.from_arrays(
        [["\"><img src=x onerror='alert(2)'>"] * len(some), some.time], names=["entity", "time"]
    )
    parts = {
        part: None if getattr(some, part) is None else getattr(some, part).set_axis(index)
        for part in ("frame", "drivers", "context")
    }
    bad = some.replace(
        **parts, files=(SCRIPT,), recipe=(Repair("<b>kind</b>", {"note": "</pre><script>alert(3)</script>"}),)
    )
    here.datasets.save(bad)
    return detected(bad, here, entities=(bad.entities[0],))


def test_the_page_is_one_file_and_holds_no_code_of_others(here: Workspace, hostile_run: str) -> None:
    card = run_card(hostile_run, here)
    page = Tags(html(replace(card, about=replace(card.about, user="{{ 7 * 7 }}<i>", error="<svg onload=alert(4)>"))))
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "iframe", "object", "embed", "b", "i", "link", "form", "a"}
    attributes = [(name, value) for _, attrs in page.tags for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("src", "href")]
    assert not [value for _, value in attributes if value and re.search(r"https?:|javascript:", value)]
    assert SCRIPT in page.text
    assert "{{ 7 * 7 }}<i>" in page.text
    assert "alert(3)" in page.text


def test_the_page_says_what_the_run_was(here: Workspace, sample: Dataset) -> None:
    here.datasets.save(sample)
    run = detected(sample, here, risk=0.001)
    card = run_card(run, here)
    page = Tags(html(card)).text
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
    found = load_detection(run, here)
    assert sum(card.counts[name] for name in ("mild", "notable", "rare", "extreme")) == len(found.anomalies)
    assert card.cost.seconds
    assert card.cost.emissions_kg
    assert "<svg" in html(card)


def test_the_json_has_a_version_and_no_language(here: Workspace, sample: Dataset) -> None:
    run = detected(sample, here)
    written = json.loads(run_card(run, here).to_json())
    assert written["schema_version"] == 1
    assert written["data"]["digest"] == sample.digest
    assert written["threshold"]["why"]["template"].startswith("The share")
    assert json.loads(json.dumps(written, allow_nan=False)) == written


def test_the_page_speaks_the_language_of_the_person(here: Workspace, sample: Dataset) -> None:
    card = run_card(detected(sample, here), here)
    french = html(
        card,
        say=lambda text: {"Run": "Exécution", "Threshold": "Seuil"}.get(text, text),
        shown=lambda value: str(value).replace(".", ","),
        language="fr",
    )
    assert '<html lang="fr">' in french
    assert "<h2>Seuil</h2>" in french
    assert html(card, catalogue("fr").gettext, str, "fr").startswith("<!doctype html>")


def test_a_forecast_is_beside_the_naive_ones(here: Workspace, sample: Dataset) -> None:
    from core.tasks.forecast.run import forecast
    from core.tasks.forecast.spec import ForecastSpec, forecasters

    small = sample.select(sample.entities[:2])
    naive = ForecastSpec(forecasters()["seasonal-naive"](), horizon=2)
    _, run = forecast(naive, small, workspace=here, actor=BY)
    card = run_card(run.id, here)
    assert card.score_card is not None
    assert [line for line, _ in card.score_card.lines] == ["seasonal-naive", "naive1", "naive7"]
    wape = dict(zip(card.score_card.metrics, card.score_card.lines[0][1], strict=True))["wape"]
    assert wape == pytest.approx(run.metrics["wape"])
    assert card.picture is not None
    assert set(card.picture.series) == {"seasonal-naive", "naive1", "naive7"}
    assert "polyline" in html(card)


def test_labels_bring_a_score_card_with_baselines(here: Workspace, kpis: Dataset) -> None:
    from core.tasks.sequences.run import train
    from core.tasks.sequences.spec import SequenceSpec, detectors

    few = kpis.rows(np.arange(600))
    labels = pd.Series(np.arange(600) % 50 == 7, index=few.frame.index)
    spec = SequenceSpec(detectors()["pca-residual"](), until="400", threshold="best_f1")
    _, run = train(spec, few.replace(labels=labels), workspace=here, actor=BY)
    card = run_card(run.id, here)
    assert card.score_card is not None
    assert {line for line, _ in card.score_card.lines} >= {"pca-residual", "random", "mean_distance", "pca"}
    assert "oracle" in str(card.threshold.why) if card.threshold else False
    assert "--threshold=best_f1" in card.repeat.command


def test_a_comparison_of_detectors_is_repeated(here: Workspace, tmp_path: Path, kpis: Dataset) -> None:
    from core.tasks.comparison.run import compare
    from core.tasks.comparison.spec import ComparisonSpec

    few = kpis.rows(np.arange(500))
    here.datasets.save(few)
    _, run = compare(ComparisonSpec(until="300"), few, workspace=here, actor=BY)
    card = run_card(run.id, here)
    assert card.score_card is not None
    assert len(card.score_card.lines) >= 6
    html(card)
    again = run_card(repeated(card.repeat.command, tmp_path), here)
    assert [line for line, _ in again.score_card.lines] == [line for line, _ in card.score_card.lines]  # type: ignore[union-attr]
    assert again.metrics["rows_judged"] == card.metrics["rows_judged"]


# ---- failed, pending and remote runs --------------------------------------------------------------------------------


def failed(dataset: Dataset, at: Workspace) -> str:
    with (
        pytest.raises(DataError),
        tracked_run("anomalies", "IsolationForest", {"contamination": 0.1}, dataset, BY, at) as run,
    ):
        raise DataError("Nothing is left of {file} at https://bob:secret@host/.", file="x.csv")
    return run.id


def test_a_failed_run_has_a_card(here: Workspace, sample: Dataset) -> None:
    card = run_card(failed(sample, here), here)
    assert card.about.status == "failed"
    assert "Nothing is left of x.csv" in card.about.error
    assert "secret" not in card.to_json()
    assert card.repeat.command == ""
    assert "did not complete" in str(card.repeat.notes[0])
    assert "failed" in Tags(html(card)).text


def test_a_waiting_run_has_a_card_and_so_has_a_failed_one(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    at = workplace_in(tmp_path, empty_store, f"http://127.0.0.1:{free_port()}")
    run = detected(sample, at)
    card = run_card(run, at)
    assert card.about.is_pending
    assert card.about.task == "anomalies"
    assert card.repeat.command
    assert "waits for MLflow" in Tags(html(card)).text
    assert run_card(failed(sample, at), at).about.status == "failed"


def test_a_run_of_another_machine_has_the_same_card(here: Workspace, tmp_path: Path, sample: Dataset) -> None:
    here.datasets.save(sample)
    run = detected(sample, here)
    mine = run_card(run, here)
    elsewhere = Workspace.in_folder(
        tmp_path / "elsewhere", Tracking(here.tracking.uri, None, tmp_path / "elsewhere" / "runs")
    )
    theirs = run_card(run, elsewhere)
    assert theirs.about.task == "anomalies"
    assert not theirs.data.stored_here
    assert theirs.data.recipe == mine.data.recipe == ()
    assert theirs.data.part == mine.data.part
    assert theirs.threshold == mine.threshold
    assert theirs.repeat.command == mine.repeat.command
    assert "Give the files by name" in str(theirs.repeat.notes[0])
    folder = elsewhere.tracking.spool.artifact_dir(theirs.about.key) / "result"
    assert Detection.load(folder).spec.dataset == sample.digest


@pytest.mark.parametrize("run", ["", "f" * 32, "../../etc/passwd"])
def test_no_such_run(here: Workspace, run: str) -> None:
    with pytest.raises(NotFoundError):
        run_card(run, here)
