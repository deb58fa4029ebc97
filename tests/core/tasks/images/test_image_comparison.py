"""Comparison of detectors of images: cells, resume after a kill, winner rule, published rows, command line."""

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from core import jobs
from core.__main__ import build_app
from core.actor import Actor
from core.data.images.image_set import ImageSet
from core.errors import DataError, OptionError
from core.messages import Message
from core.progress import CancelledError, Progress
from core.runs.card import build_run_card
from core.runs.stored_runs import load_run
from core.spec.codec import encode
from core.tasks.images import figures
from core.tasks.images.cells import CellStore, plan_cells
from core.tasks.images.command import to_answer, to_lines
from core.tasks.images.comparison import compare, load_comparison, load_unfinished
from core.tasks.images.comparison_result import (
    ImageComparison,
    build_cells,
    choose_winner,
    measure_lead,
    rank_detectors,
    tabulate_classes,
)
from core.tasks.images.fit import load_model_result
from core.tasks.images.published import CIFAR_CLASSES, DIGITS, list_published
from core.tasks.images.spec import LINE_TO_BEAT, ImagesCompareSpec
from core.workspace import Workspace
from tests.conftest import Command
from tests.support.command_server import ForkedProcess, get_command_server
from tests.support.commands import read_json_output
from tests.support.toy_images import make_images, registered_images

BOB = Actor("bob", "tests")
LEASE_S = 1.5
TIMEOUT_S = 120.0


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    """The toy detectors, registered during the test."""
    with registered_images():
        yield


def run_comparison(
    workspace: Workspace, images: ImageSet, progress: Progress | None = None, **options: Any
) -> tuple[ImageComparison, Any]:
    spec = ImagesCompareSpec(workspace.image_sets.save(images), **{"detectors": ("toy-images",), **options})
    return compare(spec, workspace=workspace, actor=BOB, progress=progress)


def make_cells(areas: dict[str, dict[str, list[float]]]) -> pd.DataFrame:
    """Return cells from detector → class → area per seed; NaN stands for a cell that failed."""
    lines: list[dict[str, object]] = [
        {
            "detector": detector,
            "normal_class": name,
            "seed": seed,
            "auc_roc": area,
            "training_images": 1,
            "reason": "failed" if math.isnan(area) else "",
        }
        for detector, by_class in areas.items()
        for name, values in by_class.items()
        for seed, area in enumerate(values)
    ]
    return build_cells(lines)


# ---- spec -----------------------------------------------------------------------------------------------------------


def test_comparison_spec_takes_commas_and_repeated_options() -> None:
    images = make_images(classes=("0", "a,b", "1"))
    spec = ImagesCompareSpec(detectors=("toy-slow, toy-images", "vae"), classes=("a,b", "1,0"))
    spec.check()
    filled = spec.fill_defaults(images)
    assert filled.detectors == (LINE_TO_BEAT, "toy-slow", "toy-images", "vae")
    assert filled.classes == ("a,b", "1", "0")
    assert filled.fill_defaults(images) == filled


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detectors": ("toy-images,nothing",)}, "nothing"),
        ({"detectors": ("toy-supervised",)}, "--abnormal-count"),
        ({"contamination": 0.5}, "0 to 0.4"),
        ({"seeds": 0}, "seeds"),
    ],
)
def test_comparison_spec_refuses_other_values(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        ImagesCompareSpec(**options).check()


def test_comparison_refuses_one_class_and_unknown_class() -> None:
    with pytest.raises(OptionError, match="0, 1, 2"):
        ImagesCompareSpec(classes=("7",)).fill_defaults(make_images())
    with pytest.raises(DataError, match="two classes"):
        ImagesCompareSpec().fill_defaults(make_images(classes=("0",)))


def test_quick_selection_begins_with_line_to_beat() -> None:
    detectors = ImagesCompareSpec().fill_defaults(make_images()).detectors
    assert detectors[0] == LINE_TO_BEAT
    assert len(detectors) > 2
    specs = plan_cells(ImagesCompareSpec(seconds_per_fit=3.0).fill_defaults(make_images()))
    limits = {spec.detector.name: getattr(spec.detector, "seconds", None) for spec in specs}
    assert limits["vae"] == 3.0
    assert {spec.held_out for spec in specs} == {0.0}


def test_quick_selection_of_colour_images_contains_the_ensemble_with_its_time() -> None:
    grey = make_images()
    colour = replace(grey, pixels=grey.pixels.repeat(3, axis=3))
    assert "transformation-ensemble" not in ImagesCompareSpec().fill_defaults(grey).detectors
    specs = plan_cells(ImagesCompareSpec(seconds_per_fit=60.0).fill_defaults(colour))
    [seconds] = {spec.detector.seconds for spec in specs if spec.detector.name == "transformation-ensemble"}  # type: ignore[attr-defined]
    assert seconds == 60.0


# ---- cells ----------------------------------------------------------------------------------------------------------


def test_comparison_has_a_run_per_cell(workspace: Workspace) -> None:
    images = make_images(60)
    result, run = run_comparison(workspace, images, classes=("0", "2"))
    cells = result.cells
    assert len(cells) == 8
    assert cells["run"].is_unique
    assert (cells["auc_roc"] > 0.8).all()
    assert (cells["training_images"] == 48).all(), "all normal images outside the test part"
    cell = cells.iloc[-1]
    opened = load_model_result(cell["run"], workspace)
    assert (opened.spec.detector.name, opened.spec.normal_class, opened.spec.seed) == ("toy-images", "2", 1)
    assert opened.metrics()["auc_roc"] == cell["auc_roc"]
    assert cell["emissions_kg"] == load_run(cell["run"], workspace).record.metrics["emissions_kg"]
    loaded = load_comparison(run.id, workspace)
    pd.testing.assert_frame_equal(loaded.cells, cells)
    assert loaded.winner == result.winner
    card = build_run_card(run.id, workspace)
    assert card.score_card is not None
    assert [line[0] for line in card.score_card.lines] == result.ranking["detector"].tolist()
    assert "images compare" in card.repeat.command
    assert len(figures.draw_comparison(result).data) == 2
    assert result.published.empty


def test_failing_detector_is_a_row_with_its_reason(workspace: Workspace) -> None:
    result, run = run_comparison(workspace, make_images(), detectors=("toy-failing",), seeds=1)
    failing = result.cells[result.cells["detector"] == "toy-failing"].set_index("normal_class")
    assert failing["reason"].tolist() == ["The class 0 is refused.", "ZeroDivisionError", ""]
    assert failing["auc_roc"].isna().tolist() == [True, True, False]
    assert load_run(failing.loc["0", "run"], workspace).record.status == "failed"
    assert run.metrics["cells_failed"] == 2
    notes = " ".join(map(str, result.notes))
    assert "The class 0 is refused." in notes
    assert "a secret of the machine" not in notes
    assert not result.ranking.set_index("detector").loc["toy-failing", "is_complete"]


def test_cancelled_comparison_keeps_its_cells(workspace: Workspace) -> None:
    images = make_images()

    class Cancelling(Progress):
        stages: list[str] = []

        def report(self, share: float, stage: str = "") -> None:
            super().report(share, stage)
            if stage and stage not in self.stages:
                self.stages.append(stage)
            if len(self.stages) == 4:
                self.cancel()

    progress = Cancelling()
    with pytest.raises(CancelledError):
        run_comparison(workspace, images, progress)
    assert str(Message.load(progress.stages[2])) == f"3 of 12: {LINE_TO_BEAT}, class 1, seed 0"
    spec = ImagesCompareSpec(images.digest, detectors=("toy-images",))
    unfinished = load_unfinished(spec, images, workspace)
    finished = unfinished.cells
    assert (len(finished), unfinished.total) == (3, 12)
    assert unfinished.areas.isna().to_numpy().tolist() == [[False, False], [False, True]]
    result, _ = run_comparison(workspace, images)
    pd.testing.assert_frame_equal(result.cells.head(3), finished)
    assert "3 of 12 cells were computed earlier" in " ".join(map(str, result.notes))


@pytest.mark.parametrize(
    "change",
    [{"contamination": 0.1}, {"seconds_per_fit": 7.0}, {"abnormal_count": 3}, {"images": "0" * 64}],
    ids=lambda change: next(iter(change)),
)
def test_cell_is_found_only_for_the_same_settings(tmp_path: Path, change: dict[str, Any]) -> None:
    spec = ImagesCompareSpec(detectors=("toy-images",)).fill_defaults(make_images())
    cell, other = plan_cells(spec)[1], plan_cells(replace(spec, **change))[1]
    store = CellStore(tmp_path)
    store.save(cell, {"auc_roc": 0.5})
    assert store.find(cell) == {"auc_roc": 0.5}
    assert store.find(other) is None
    assert store.find(plan_cells(spec)[3]) is None


def test_damaged_cell_is_computed_again(tmp_path: Path) -> None:
    cell = plan_cells(ImagesCompareSpec().fill_defaults(make_images()))[0]
    store = CellStore(tmp_path)
    store.save(cell, {"auc_roc": 0.5})
    [path] = tmp_path.iterdir()
    path.write_text("{", encoding="utf-8")
    assert store.find(cell) is None


@contextmanager
def start_toy_worker(workspace: Workspace, log: Path) -> Iterator[ForkedProcess]:
    """Run a worker that knows the toys, and kill it at the end."""
    variables = {
        "VIGIE_DATA_DIR": str(workspace.folder),
        "MLFLOW_TRACKING_URI": "",
        "OMP_NUM_THREADS": "1",
        "DATABASE_URL": workspace.settings.database_url.get_secret_value(),
        "TOY_IMAGES_LOG": str(log),
    }
    process = get_command_server().start("tests.support.toy_images", str(LEASE_S), environment=os.environ | variables)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"the condition is not true after {TIMEOUT_S} s"
        time.sleep(0.05)


def read_log(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_killed_comparison_goes_on_where_it_was(workspace: Workspace, tmp_path: Path) -> None:
    """After kill -9 another worker repeats at most the cell that was not finished."""
    images, log = make_images(), tmp_path / "fits.log"
    spec = ImagesCompareSpec(workspace.image_sets.save(images), ("toy-slow",), seeds=2)
    workspace.jobs.lease_s = LEASE_S
    job = jobs.submit("images", encode(spec), workspace=workspace, actor=BOB)
    with start_toy_worker(workspace, log) as worker:
        wait_for(lambda: len(read_log(log)) >= 2)
        worker.kill()
        worker.wait()
    before = read_log(log)
    with start_toy_worker(workspace, log):
        wait_for(lambda: (found := jobs.find(job.key, workspace)) is not None and found.is_finished)
    ended = jobs.find(job.key, workspace)
    assert ended is not None
    assert ended.status == "completed"
    assert 6 <= len(read_log(log)) <= 7, "six slow cells, and at most one of them twice"
    result = load_comparison(ended.run_id, workspace)
    assert len(result.cells) == 12
    assert result.cells["auc_roc"].notna().all()
    earlier = next(note for note in result.notes if "computed earlier" in note.template)
    assert int(str(earlier.values["count"])) >= 2 * len(before) - 1


# ---- ranking --------------------------------------------------------------------------------------------------------

AREAS = st.lists(st.floats(0.5, 1), min_size=2, max_size=4)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.tuples(AREAS, AREAS), min_size=2))
def test_winner_leads_by_more_than_the_spread(areas: dict[str, tuple[list[float], list[float]]]) -> None:
    seeds = min(len(values) for pair in areas.values() for values in pair)
    cells = make_cells({name: {"0": pair[0][:seeds], "1": pair[1][:seeds]} for name, pair in areas.items()})
    by_seed = {name: (np.array(pair[0][:seeds]) + np.array(pair[1][:seeds])) / 2 for name, pair in areas.items()}
    first, second = sorted(by_seed, key=lambda name: -by_seed[name].mean())[:2]
    lead = by_seed[first].mean() - by_seed[second].mean()
    spread = max(np.ptp(by_seed[first]), np.ptp(by_seed[second]))
    winner = choose_winner(cells)
    if abs(lead - spread) > 1e-9 and lead > 1e-9:
        assert winner == (first if lead > spread else "")
    assert choose_winner(cells.sample(frac=1, random_state=0)) == winner or lead < 1e-9


@pytest.mark.parametrize(("error", "winner"), [(0.001, "a"), (0.02, "")])
def test_winner_without_randomness_needs_a_lead_beyond_the_test_images(error: float, winner: str) -> None:
    cells = make_cells({"a": {"0": [0.92, 0.92], "1": [0.9, 0.9]}, "b": {"0": [0.9, 0.9], "1": [0.88, 0.88]}})
    cells["auc_roc_error"] = error
    lead = measure_lead(cells)
    assert lead is not None
    assert lead.spread == 0
    assert lead.error == pytest.approx(1.96 * error)  # √2 for the difference, 1 / √2 for the mean of two classes
    assert choose_winner(cells) == winner


def test_comparison_of_an_earlier_version_has_no_error_by_the_test_images() -> None:
    cells = make_cells({"a": {"0": [0.92, 0.92]}, "b": {"0": [0.9, 0.9]}}).drop(columns="auc_roc_error")
    assert choose_winner(cells) == "a"


def test_no_winner_with_one_seed_or_failed_cells() -> None:
    assert choose_winner(make_cells({"a": {"0": [0.9]}, "b": {"0": [0.5]}})) == ""
    failed = make_cells({"a": {"0": [0.9, math.nan]}, "b": {"0": [0.5, 0.5]}, "c": {"0": [0.6, 0.6]}})
    assert choose_winner(failed) == "c"
    assert math.isnan(rank_detectors(failed).set_index("detector").loc["a", "auc_roc"])
    table = tabulate_classes(failed).set_index("detector")
    assert (table.loc["a", "cells"], table.loc["a", "failed"]) == (2, 1)


def test_detector_below_the_line_is_told(workspace: Workspace) -> None:
    result, _ = run_comparison(workspace, make_images(), detectors=("toy-collapsed",))
    assert result.list_below_line() == ["toy-collapsed"]
    notes = [str(note) for note in result.notes]
    assert any(note.startswith("toy-collapsed") and "below knn-pixels" in note for note in notes)
    assert any("toy-collapsed collapsed in 6 cells" in note for note in notes)
    assert any(note.startswith("knn-pixels wins") for note in notes)
    one_seed, _ = run_comparison(workspace, make_images(), seeds=1)
    assert one_seed.winner == ""
    assert any("one seed" in str(note) for note in one_seed.notes)


# ---- published rows -------------------------------------------------------------------------------------------------


def make_published_set(shape: tuple[int, int, int], classes: tuple[str, ...], mean: tuple[float, ...]) -> ImageSet:
    pixels = np.broadcast_to(np.round(mean).astype(np.uint8), (20, *shape)).copy()
    return ImageSet(pixels, tuple(map(str, range(20))), classes, np.arange(20) % len(classes))


def test_published_rows_appear_for_mnist_and_cifar_only() -> None:
    mnist = make_published_set((28, 28, 1), DIGITS, (33,))
    table, notes = list_published(mnist, ("8", "0"))
    assert len(notes) == 1
    svdd = table[table["model"] == "Deep SVDD"].set_index("normal_class")
    assert svdd["auc_roc"].to_dict() == {"8": pytest.approx(0.939), "0": pytest.approx(0.98)}
    assert svdd["sd"].to_dict() == {"8": pytest.approx(0.016), "0": pytest.approx(0.007)}
    assert svdd["is_checked"].all()
    cifar_mean = (125.0, 123.0, 114.0)
    for classes in (DIGITS, ("plane", "car", *CIFAR_CLASSES[2:]), tuple(reversed(CIFAR_CLASSES))):
        images = make_published_set((32, 32, 3), classes, cifar_mean)
        horse = {"7": "7", "plane": "horse"}.get("7" if classes == DIGITS else "plane", "")
        table, _ = list_published(images, (horse,))
        assert table.loc[table["model"] == "Deep SVDD", "auc_roc"].tolist() == [pytest.approx(0.673)]
    for other in (
        make_published_set((28, 28, 1), DIGITS, (73,)),  # Fashion-MNIST
        make_published_set((32, 32, 3), DIGITS, (112, 113, 121)),  # SVHN
        make_published_set((28, 28, 1), DIGITS[:9], (33,)),
        make_published_set((16, 16, 1), DIGITS, (33,)),
        make_images(),
    ):
        table, notes = list_published(other, other.classes)
        assert table.empty
        assert not notes


def test_published_means_match_the_paper() -> None:
    table, _ = list_published(make_published_set((28, 28, 1), DIGITS, (33,)), DIGITS)
    means = (100 * table.groupby("model")["auc_roc"].mean()).to_dict()
    expected = {"OC-SVM": 91.29, "KDE": 86.93, "isolation forest": 92.30, "DCAE": 89.65, "AnoGAN": 91.27}
    expected |= {"soft-boundary Deep SVDD": 93.53, "Deep SVDD": 94.80, "OCGAN": 97.5}
    assert means == {name: pytest.approx(value, abs=0.06) for name, value in expected.items()}
    table, _ = list_published(make_published_set((32, 32, 3), CIFAR_CLASSES, (125, 123, 114)), CIFAR_CLASSES)
    means = (100 * table.groupby("model")["auc_roc"].mean()).to_dict()
    expected = {"OC-SVM": 64.78, "KDE": 64.89, "isolation forest": 55.46, "DCAE": 59.39, "AnoGAN": 61.79}
    expected |= {"soft-boundary Deep SVDD": 63.28, "Deep SVDD": 64.81, "OCGAN": 65.6, "ARNet": 86.6}
    expected |= {"GEOM (rotations and shifts)": 86.0}
    assert means == {name: pytest.approx(value, abs=0.1) for name, value in expected.items()}


def test_comparison_of_recognised_set_exports_published_rows(workspace: Workspace) -> None:
    images = make_images(20, classes=DIGITS, size=28)
    pixels = np.clip(images.pixels.astype(int) - int(images.pixels.mean()) + 33, 0, 255).astype(np.uint8)
    result, run = run_comparison(
        workspace, replace(images, pixels=pixels), classes=("3",), seeds=1, detectors=("knn-pixels",)
    )
    table = result.to_frame()
    assert set(table["source"].str.split(":").str[0]) == {"measured", "published"}
    assert set(table["normal_class"]) == {"3"}
    assert any("published" in line for line in to_lines(result, run))
    assert to_answer(result, run)["published"]["Deep SVDD"] == {"3": pytest.approx(0.919)}


# ---- command line ---------------------------------------------------------------------------------------------------


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    """File with the arrays x_train, y_train, x_test, y_test of three classes."""
    images = make_images(30)
    path = tmp_path / "toy.npz"
    pixels, labels = images.pixels[..., 0], images.labels.astype(np.uint8)
    np.savez(path, x_train=pixels[:60], y_train=labels[:60], x_test=pixels[60:], y_test=labels[60:])
    return path


def test_compare_command_prints_areas_per_class(vigie: Command, npz: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    words = ["images", "compare", "--data", npz, "--detectors", "pca-pixels,isolation-forest-pixels"]
    words += ["--classes", "0,2", "--seeds", "2", "--seconds-per-fit", "5", "--out", out, "--json"]
    answer = read_json_output(vigie(*words))
    names = {"knn-pixels", "pca-pixels", "isolation-forest-pixels"}
    for field in ("auc", "sd", "aupr", "seconds", "emissions_kg"):
        assert set(answer[field]) == names, field
        assert all(set(by_class) == {"0", "2"} for by_class in answer[field].values()), field
        assert all(value >= 0 for by_class in answer[field].values() for value in by_class.values()), field
    assert all(0.5 < value <= 1 for by_class in answer["auc"].values() for value in by_class.values())
    for name in names:
        assert answer["mean"][name] == pytest.approx(np.mean(list(answer["auc"][name].values())))
    assert answer["winner"] in {*names, ""}
    assert len(answer["cells"]) == 12
    table = pd.read_csv(out).set_index(["detector", "normal_class"])
    assert table.loc[("pca-pixels", 0), "auc_roc"] == pytest.approx(answer["auc"]["pca-pixels"]["0"])


def invoke(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *words: object) -> Any:
    """Run a command in this process, where the toys are registered; return its result."""
    monkeypatch.setattr("core.cli.task_commands.get_workspace", lambda: workspace)
    return CliRunner().invoke(build_app(), list(map(str, words)))


def test_fit_and_score_commands_share_a_model(workspace: Workspace, npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("images", "fit", "--data", npz, "--normal-class", "1", "--false-alarm-rate", "0.1", "--json")
    fit = json.loads(invoke(workspace, monkeypatch, *words).stdout)
    assert fit["normal_class"] == "1"
    assert fit["metrics"]["auc_roc"] > 0.5
    assert fit["alarms"]["promised"] <= 0.15
    words = ("images", "score", "--data", npz, "--model", fit["run_id"], "--json")
    printed = invoke(workspace, monkeypatch, *words).stdout
    score = json.loads(printed)
    assert score["metrics"]["rows"] == 90
    scores = [image["score"] for image in score["images"]]
    assert scores == sorted(scores, reverse=True)
    assert "NaN" not in printed
    text = invoke(workspace, monkeypatch, "images", "fit", "--data", npz, "--detector", "toy-images").stdout
    assert "false alarms: promised" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare",), "--data"),
        (("score", "--data", "NPZ"), "--model"),
        (("fit", "--data", "NPZ", "--normal-class", "9"), "0, 1, 2"),
        (("compare", "--data", "NPZ", "--detectors", "magic"), "knn-pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_image_command_names_what_is_missing(
    workspace: Workspace, npz: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    result = invoke(workspace, monkeypatch, "images", *(npz if word == "NPZ" else word for word in words))
    assert result.exit_code == 2
    assert said in result.output
    assert result.stdout == ""
