"""Evaluation of a sequence detector against baselines, from arrays and from files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from core.detectors.scaling import Scaling
from core.detectors.sequences.kmeans_ad import KMeansAD
from core.detectors.sequences.mean_distance import MeanDistance
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.sub_pca import SubPCA
from core.errors import DataError, InputError, OptionError, UnreadableFileError
from core.evaluation.detection_metrics import METRIC_NAMES, compute_detection_metrics
from core.evaluation.explanation import RootCause
from core.progress import CancelledError, Progress
from core.spec.metric import BASELINE_NAMES
from core.tasks.sequences.evaluation import (
    BASELINE_DETECTORS,
    compute_baseline_metrics,
    evaluate,
    evaluate_file,
    read_arrays,
)
from tests.core.detectors.sequences.test_sequence_detectors import make_waves

EVENTS = [RootCause(120, 135, (1,)), RootCause(300, 320, (0, 4))]


def make_labelled_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training rows, test rows with the anomalies of `EVENTS`, and labels of the test rows."""
    test, labels = make_waves(500, seed=1), np.zeros(500, dtype=np.uint8)
    for event in EVENTS:
        test[event.start : event.stop, list(event.columns)] += 1.5
        labels[event.start : event.stop] = 1
    return make_waves(900), test, labels


@pytest.fixture
def npz_file(tmp_path: Path) -> Path:
    train, test, labels = make_labelled_data()
    np.savez(tmp_path / "server.npz", train=train, test=test, label=labels)
    return tmp_path / "server.npz"


# ---- arrays ---------------------------------------------------------------------------------------------------------


def test_evaluate_measures_detector_and_baselines_equally() -> None:
    train, test, labels = make_labelled_data()
    evaluation = evaluate(train, test, labels, SubPCA(), scaling=Scaling("minmax"), seed=3, causes=EVENTS)
    assert list(evaluation.baselines) == ["random", *BASELINE_DETECTORS] == list(BASELINE_NAMES)
    for card in (evaluation.metrics, *evaluation.baselines.values()):
        assert set(card) == {*METRIC_NAMES, "window"}
    assert evaluation.metrics == compute_detection_metrics(labels, evaluation.scores, 100)
    assert evaluation.metrics["auc_pr"] > 0.9 > 0.3 > evaluation.baselines["random"]["auc_pr"]
    assert evaluation.injected_count == 0
    assert evaluation.rows_per_second > 0


def test_baseline_scores_do_not_depend_on_detector() -> None:
    train, test, labels = make_labelled_data()
    pca_evaluation = evaluate(train, test, labels, PcaResidual(), scaling=Scaling("robust"), seed=3)
    kmeans_evaluation = evaluate(train, test, labels, KMeansAD(), scaling=Scaling("minmax"), seed=3)
    assert pca_evaluation.baselines == kmeans_evaluation.baselines
    assert (
        evaluate(train, test, labels, KMeansAD(), scaling=Scaling("minmax"), seed=4).baselines["random"]
        != pca_evaluation.baselines["random"]
    )
    assert (
        pca_evaluation.baselines["pca"]
        == evaluate(train, test, labels, PcaResidual(), scaling=Scaling("minmax"), seed=3).metrics
    )


def test_baseline_scores_join_several_series() -> None:
    train, test, labels = make_labelled_data()
    cards = compute_baseline_metrics([train, train], [test[:200], test[200:]], labels, seed=0)
    assert set(cards) == set(BASELINE_NAMES)
    assert cards["pca"]["auc_pr"] == pytest.approx(
        compute_baseline_metrics([train], [test], labels, seed=0)["pca"]["auc_pr"], abs=0.01
    )


def test_evaluate_ranks_causes_by_detector_and_moving_mean() -> None:
    train, test, labels = make_labelled_data()
    evaluation = evaluate(train, test, labels, MeanDistance(), scaling=Scaling("minmax"), seed=0, causes=EVENTS)
    assert set(evaluation.explanation) == {"detector", "moving_mean"}
    assert evaluation.explanation["detector"]["hit_100"] == 1.0
    assert evaluation.explanation["detector"]["chance_100"] == pytest.approx(0.3)
    assert not evaluate(train, test, labels, SubPCA(), scaling=Scaling("minmax"), seed=0).explanation


@pytest.mark.parametrize("labels", [None, np.zeros(500, dtype=np.uint8)])
def test_evaluate_injects_anomalies_without_labels(labels: np.ndarray | None) -> None:
    train, test = make_waves(900), make_waves(500, seed=1)
    before = test.copy()
    evaluation = evaluate(train, test, labels, SubPCA(), scaling=Scaling("minmax"), seed=5)
    assert evaluation.injected_count > 0
    assert any("injected" in str(note) for note in evaluation.notes)
    assert evaluation.metrics["auc_pr"] > evaluation.baselines["random"]["auc_pr"]
    assert evaluation.explanation["detector"]["events"] == evaluation.injected_count
    assert np.array_equal(test, before)
    scaling = Scaling("minmax").fit([train])
    expected_scores = SubPCA().fit([scaling.transform(train)], Progress()).score(scaling.transform(test)).score
    assert np.allclose(evaluation.scores, expected_scores, rtol=1e-4), (
        "scores are those of the rows without injected anomalies"
    )
    repeated = evaluate(train, test, labels, SubPCA(), scaling=Scaling("minmax"), seed=5)
    assert repeated.metrics == evaluation.metrics


def test_evaluate_rejects_incompatible_arrays() -> None:
    train, test, labels = make_labelled_data()
    for arrays in (
        (train[:, :3], test, labels),
        (train, test, labels[:7]),
        (train, test[:, 0], labels),
        (train[:1], test, labels),
    ):
        with pytest.raises(DataError):
            evaluate(*arrays, PcaResidual(), scaling=Scaling(), seed=0)


def test_evaluate_can_be_cancelled() -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        evaluate(*make_labelled_data(), PcaResidual(), scaling=Scaling(), seed=0, progress=progress)


# ---- files ----------------------------------------------------------------------------------------------------------


def test_evaluate_file_equals_evaluate_on_arrays(npz_file: Path, tmp_path: Path) -> None:
    answer = evaluate_file(npz_file, "sub-pca", seed=3, out=tmp_path / "scores.csv")
    evaluation = evaluate(*make_labelled_data(), SubPCA(), scaling=Scaling("minmax"), seed=3)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["metrics"] == evaluation.metrics
    assert {name: answer[name] for name in evaluation.baselines} == evaluation.baselines
    assert (answer["detector"], answer["seed"], answer["rows"], answer["rows_fitted"], answer["columns"]) == (
        "sub-pca",
        3,
        500,
        900,
        5,
    )
    assert answer["labels"] == "given"
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8-sig") as source:
        rows = list(csv.DictReader(source))
    assert [int(row["row"]) for row in rows] == list(range(500))
    assert [float(row["score"]) for row in rows] == evaluation.scores.tolist()


def test_evaluate_file_passes_seed_and_time_limit(npz_file: Path) -> None:
    assert evaluate_file(npz_file, "kmeans-ad", seconds=5, seed=7)["settings"]["random_state"] == 7
    assert evaluate_file(npz_file, "kmeans-ad", seed=7, settings={"clusters": "3"})["settings"]["clusters"] == 3


def test_evaluate_file_reads_root_causes(npz_file: Path, tmp_path: Path) -> None:
    """The labels show whether ends are exclusive or inclusive, so both files give the same events."""
    (tmp_path / "behind.txt").write_text("120-135:2\n300-320:1,5\n")
    (tmp_path / "last.txt").write_text("120-134:2\n300-319:1,5\n")
    exclusive, inclusive = (
        evaluate_file(npz_file, "pca-residual", causes=tmp_path / name)["explanation"]
        for name in ("behind.txt", "last.txt")
    )
    assert exclusive["detector"]["events"] == 2
    assert exclusive == inclusive


def test_evaluate_file_rejects_invalid_root_causes(npz_file: Path, tmp_path: Path) -> None:
    for line, message in (
        ("120-135:6", "column 6, but the data have 5"),
        ("900-910:1", "row 900"),
        ("120-135", "line 1"),
    ):
        (tmp_path / "causes.txt").write_text(line)
        with pytest.raises(UnreadableFileError, match=message):
            evaluate_file(npz_file, "pca-residual", causes=tmp_path / "causes.txt")


def test_evaluate_file_injects_anomalies_without_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "quiet.npz", train=make_waves(600), test=make_waves(400, seed=1))
    answer = evaluate_file(tmp_path / "quiet.npz", "pca-residual")
    assert (answer["labels"], answer["rows"]) == ("injected", 400)
    np.savez(tmp_path / "one.npz", data=make_waves(1001))
    answer = evaluate_file(tmp_path / "one.npz", "pca-residual")
    assert (answer["labels"], answer["rows_fitted"], answer["rows"]) == ("injected", 500, 501)


def test_evaluate_file_writes_undefined_metrics_as_null(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", train=make_waves(600), test=make_waves(300, seed=1), label=np.ones(300))
    answer = evaluate_file(tmp_path / "all.npz", "pca-residual")
    assert answer["metrics"]["auc_roc"] is None
    json.dumps(answer, allow_nan=False)


def test_evaluate_file_treats_infinite_values_as_missing(tmp_path: Path) -> None:
    train, test, labels = make_labelled_data()
    train[5, 0], test[7, 1], test[8, 1] = np.inf, -np.inf, np.nan
    np.savez(tmp_path / "holes.npz", train=train, test=test, label=labels)
    arrays = read_arrays(tmp_path / "holes.npz")
    assert np.isnan(arrays.train[5, 0])
    assert np.isnan(arrays.test[[7, 8], 1]).all()
    assert evaluate_file(tmp_path / "holes.npz", "kmeans-ad")["metrics"]["auc_pr"] > 0.8
    test[9, 1] = 1e35
    np.savez(tmp_path / "huge.npz", train=train, test=test)
    assert evaluate_file(tmp_path / "huge.npz", "pca-residual")["labels"] == "injected"


def test_evaluate_file_rejects_missing_labels(tmp_path: Path) -> None:
    train, test, labels = make_labelled_data()
    np.savez(tmp_path / "doubt.npz", train=train, test=test, label=np.where(labels, 1.0, np.nan))
    with pytest.raises(DataError, match="465 of 500 labels are missing"):
        evaluate_file(tmp_path / "doubt.npz", "pca-residual")
    np.savez(
        tmp_path / "minus.npz", train=train, test=test, label=labels - 1.0
    )  # −1 and 0: no row is abnormal, as in the readers
    assert evaluate_file(tmp_path / "minus.npz", "pca-residual")["labels"] == "injected"


def test_evaluate_file_accepts_single_column(tmp_path: Path) -> None:
    train, test, labels = make_labelled_data()
    np.savez(tmp_path / "one.npz", train=train[:, 1], test=test[:, 1], label=labels)
    assert evaluate_file(tmp_path / "one.npz", "sub-pca")["columns"] == 1


def test_evaluate_file_rejects_invalid_input(npz_file: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"'nothing'.*sub-pca"):
        evaluate_file(npz_file, "nothing")
    with pytest.raises(OptionError, match="'loud'"):
        evaluate_file(npz_file, "sub-pca", scaling="loud")  # type: ignore[arg-type]
    with pytest.raises(UnreadableFileError, match=r"gone\.npz"):
        evaluate_file(tmp_path / "gone.npz", "sub-pca")
    np.savez(tmp_path / "narrow.npz", train=make_waves(50), test=make_waves(50, columns=4), label=np.zeros(50))
    with pytest.raises(InputError, match="'test'"):
        evaluate_file(tmp_path / "narrow.npz", "sub-pca")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InputError, match=r"text\.npz"):
        evaluate_file(tmp_path / "text.npz", "sub-pca")


def test_evaluate_file_never_opens_pickle(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "objects.npz", train=np.array([{"a": 1}], dtype=object), test=make_waves(50), label=np.zeros(50)
    )
    with pytest.raises(InputError, match="pickle"):
        evaluate_file(tmp_path / "objects.npz", "sub-pca")


def test_evaluate_file_metrics_on_real_data(shared_data: Path) -> None:
    """Metrics of the released detectors on real data. A change of a metric must be intended."""
    folder = shared_data / "asd"
    answer = evaluate_file(folder / "omi-5.npz", "sub-pca", causes=folder / "interpretation_label" / "omi-5.txt")
    assert answer["metrics"]["vus_pr"] == pytest.approx(0.79, abs=0.03)
    assert answer["pca"]["vus_pr"] == pytest.approx(0.31, abs=0.03)
    assert answer["random"]["vus_pr"] == pytest.approx(0.09, abs=0.03)
    assert answer["explanation"]["moving_mean"]["hit_100"] > answer["explanation"]["moving_mean"]["chance_100"]
