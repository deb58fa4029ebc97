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
from core.evaluation.explanation import RootCause
from core.evaluation.metrics import CARD, score_card
from core.progress import Cancelled, Progress
from core.spec.metric import BASELINES
from core.tasks.sequences.evaluation import BASELINE_DETECTORS, baseline_scores, evaluate, evaluate_file, read_arrays
from tests.test_sequence_detectors import waves

EVENTS = [RootCause(120, 135, (1,)), RootCause(300, 320, (0, 4))]


def labelled() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training rows, test rows with the anomalies of `EVENTS`, and labels of the test rows."""
    test, labels = waves(500, seed=1), np.zeros(500, dtype=np.uint8)
    for event in EVENTS:
        test[event.start : event.stop, list(event.columns)] += 1.5
        labels[event.start : event.stop] = 1
    return waves(900), test, labels


@pytest.fixture
def file(tmp_path: Path) -> Path:
    train, test, labels = labelled()
    np.savez(tmp_path / "server.npz", train=train, test=test, label=labels)
    return tmp_path / "server.npz"


# ---- arrays ---------------------------------------------------------------------------------------------------------


def test_the_detector_and_every_line_have_the_same_figures() -> None:
    train, test, labels = labelled()
    found = evaluate(train, test, labels, SubPCA(), scaling=Scaling("minmax"), seed=3, causes=EVENTS)
    assert list(found.baselines) == ["random", *BASELINE_DETECTORS] == list(BASELINES)
    for card in (found.metrics, *found.baselines.values()):
        assert set(card) == {*CARD, "window"}
    assert found.metrics == score_card(labels, found.scores, 100)
    assert found.metrics["auc_pr"] > 0.9 > 0.3 > found.baselines["random"]["auc_pr"]
    assert found.injected == 0
    assert found.rows_per_second > 0


def test_the_lines_do_not_depend_on_the_detector_or_its_scaling() -> None:
    train, test, labels = labelled()
    one = evaluate(train, test, labels, PcaResidual(), scaling=Scaling("robust"), seed=3)
    other = evaluate(train, test, labels, KMeansAD(), scaling=Scaling("minmax"), seed=3)
    assert one.baselines == other.baselines
    assert (
        evaluate(train, test, labels, KMeansAD(), scaling=Scaling("minmax"), seed=4).baselines["random"]
        != one.baselines["random"]
    )
    assert (
        one.baselines["pca"] == evaluate(train, test, labels, PcaResidual(), scaling=Scaling("minmax"), seed=3).metrics
    )


def test_several_series_have_one_card() -> None:
    train, test, labels = labelled()
    cards = baseline_scores([train, train], [test[:200], test[200:]], labels, seed=0)
    assert set(cards) == set(BASELINES)
    assert cards["pca"]["auc_pr"] == pytest.approx(
        baseline_scores([train], [test], labels, seed=0)["pca"]["auc_pr"], abs=0.01
    )


def test_causes_are_ranked_by_the_detector_and_by_the_moving_mean() -> None:
    train, test, labels = labelled()
    found = evaluate(train, test, labels, MeanDistance(), scaling=Scaling("minmax"), seed=0, causes=EVENTS)
    assert set(found.explanation) == {"detector", "moving_mean"}
    assert found.explanation["detector"]["hit_100"] == 1.0
    assert found.explanation["detector"]["chance_100"] == pytest.approx(0.3)
    assert not evaluate(train, test, labels, SubPCA(), scaling=Scaling("minmax"), seed=0).explanation


@pytest.mark.parametrize("labels", [None, np.zeros(500, dtype=np.uint8)])
def test_without_labels_anomalies_are_planted_and_that_is_said(labels: np.ndarray | None) -> None:
    train, test = waves(900), waves(500, seed=1)
    before = test.copy()
    found = evaluate(train, test, labels, SubPCA(), scaling=Scaling("minmax"), seed=5)
    assert found.injected > 0
    assert any("planted" in str(note) for note in found.notes)
    assert found.metrics["auc_pr"] > found.baselines["random"]["auc_pr"]
    assert found.explanation["detector"]["events"] == found.injected
    assert np.array_equal(test, before)
    scaling = Scaling("minmax").fit([train])
    plain = SubPCA().fit([scaling.transform(train)], Progress()).score(scaling.transform(test)).score
    assert np.allclose(found.scores, plain, rtol=1e-4), "scores are those of the rows without injected anomalies"
    again = evaluate(train, test, labels, SubPCA(), scaling=Scaling("minmax"), seed=5)
    assert again.metrics == found.metrics


def test_arrays_that_do_not_fit_are_refused() -> None:
    train, test, labels = labelled()
    for wrong in (
        (train[:, :3], test, labels),
        (train, test, labels[:7]),
        (train, test[:, 0], labels),
        (train[:1], test, labels),
    ):
        with pytest.raises(DataError):
            evaluate(*wrong, PcaResidual(), scaling=Scaling(), seed=0)


def test_an_evaluation_can_be_stopped() -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        evaluate(*labelled(), PcaResidual(), scaling=Scaling(), seed=0, progress=progress)


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_file_is_evaluated_as_its_arrays_are(file: Path, tmp_path: Path) -> None:
    answer = evaluate_file(file, "sub-pca", seed=3, out=tmp_path / "scores.csv")
    found = evaluate(*labelled(), SubPCA(), scaling=Scaling("minmax"), seed=3)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["metrics"] == found.metrics
    assert {name: answer[name] for name in found.baselines} == found.baselines
    assert (answer["detector"], answer["seed"], answer["rows"], answer["rows_learnt"], answer["columns"]) == (
        "sub-pca",
        3,
        500,
        900,
        5,
    )
    assert answer["labels"] == "given"
    with (tmp_path / "scores.csv").open(newline="", encoding="ascii") as lines:
        written = list(csv.DictReader(lines))
    assert [int(line["row"]) for line in written] == list(range(500))
    assert [float(line["score"]) for line in written] == found.scores.tolist()


def test_the_seed_and_the_time_limit_reach_the_detector(file: Path) -> None:
    assert evaluate_file(file, "kmeans-ad", seconds=5, seed=7)["settings"]["random_state"] == 7
    assert evaluate_file(file, "kmeans-ad", seed=7, settings={"clusters": "3"})["settings"]["clusters"] == 3


def test_root_causes_are_read_beside_the_file(file: Path, tmp_path: Path) -> None:
    """The labels show whether ends are exclusive or inclusive, so both files give the same events."""
    (tmp_path / "behind.txt").write_text("120-135:2\n300-320:1,5\n")
    (tmp_path / "last.txt").write_text("120-134:2\n300-319:1,5\n")
    behind, last = (
        evaluate_file(file, "pca-residual", causes=tmp_path / name)["explanation"]
        for name in ("behind.txt", "last.txt")
    )
    assert behind["detector"]["events"] == 2
    assert behind == last


def test_root_causes_of_other_data_are_refused_by_line(file: Path, tmp_path: Path) -> None:
    for line, words in (("120-135:6", "column 6; there are 5"), ("900-910:1", "row 900"), ("120-135", "line 1")):
        (tmp_path / "causes.txt").write_text(line)
        with pytest.raises(UnreadableFileError, match=words):
            evaluate_file(file, "pca-residual", causes=tmp_path / "causes.txt")


def test_a_file_without_labels_has_planted_anomalies(tmp_path: Path) -> None:
    np.savez(tmp_path / "quiet.npz", train=waves(600), test=waves(400, seed=1))
    answer = evaluate_file(tmp_path / "quiet.npz", "pca-residual")
    assert (answer["labels"], answer["rows"]) == ("planted", 400)
    np.savez(tmp_path / "one.npz", data=waves(1001))
    answer = evaluate_file(tmp_path / "one.npz", "pca-residual")
    assert (answer["labels"], answer["rows_learnt"], answer["rows"]) == ("planted", 500, 501)


def test_figures_that_do_not_exist_are_null(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", train=waves(600), test=waves(300, seed=1), label=np.ones(300))
    answer = evaluate_file(tmp_path / "all.npz", "pca-residual")
    assert answer["metrics"]["auc_roc"] is None
    json.dumps(answer, allow_nan=False)


def test_infinite_and_missing_values_count_as_missing(tmp_path: Path) -> None:
    train, test, labels = labelled()
    train[5, 0], test[7, 1], test[8, 1] = np.inf, -np.inf, np.nan
    np.savez(tmp_path / "holes.npz", train=train, test=test, label=labels)
    arrays = read_arrays(tmp_path / "holes.npz")
    assert np.isnan(arrays.train[5, 0])
    assert np.isnan(arrays.test[[7, 8], 1]).all()
    assert evaluate_file(tmp_path / "holes.npz", "kmeans-ad")["metrics"]["auc_pr"] > 0.8
    test[9, 1] = 1e35
    np.savez(tmp_path / "huge.npz", train=train, test=test)
    assert evaluate_file(tmp_path / "huge.npz", "pca-residual")["labels"] == "planted"


def test_labels_that_are_missing_are_refused(tmp_path: Path) -> None:
    train, test, labels = labelled()
    np.savez(tmp_path / "doubt.npz", train=train, test=test, label=np.where(labels, 1.0, np.nan))
    with pytest.raises(DataError, match="465 of 500 labels are missing"):
        evaluate_file(tmp_path / "doubt.npz", "pca-residual")
    np.savez(
        tmp_path / "minus.npz", train=train, test=test, label=labels - 1.0
    )  # −1 and 0: no row is abnormal, as in the readers
    assert evaluate_file(tmp_path / "minus.npz", "pca-residual")["labels"] == "planted"


def test_a_series_of_one_column(tmp_path: Path) -> None:
    train, test, labels = labelled()
    np.savez(tmp_path / "one.npz", train=train[:, 1], test=test[:, 1], label=labels)
    assert evaluate_file(tmp_path / "one.npz", "sub-pca")["columns"] == 1


def test_what_cannot_be_evaluated_is_refused_by_name(file: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"'nothing'.*sub-pca"):
        evaluate_file(file, "nothing")
    with pytest.raises(OptionError, match="'loud'"):
        evaluate_file(file, "sub-pca", scaling="loud")  # type: ignore[arg-type]
    with pytest.raises(UnreadableFileError, match=r"gone\.npz"):
        evaluate_file(tmp_path / "gone.npz", "sub-pca")
    np.savez(tmp_path / "narrow.npz", train=waves(50), test=waves(50, columns=4), label=np.zeros(50))
    with pytest.raises(InputError, match="'test'"):
        evaluate_file(tmp_path / "narrow.npz", "sub-pca")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InputError, match=r"text\.npz"):
        evaluate_file(tmp_path / "text.npz", "sub-pca")


def test_a_pickle_in_a_file_is_never_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", train=np.array([{"a": 1}], dtype=object), test=waves(50), label=np.zeros(50))
    with pytest.raises(InputError, match="pickle"):
        evaluate_file(tmp_path / "objects.npz", "sub-pca")


def test_on_a_real_server(shared_data: Path) -> None:
    """Metrics of the released detectors on real data. A change of a metric must be intended."""
    folder = shared_data / "asd"
    answer = evaluate_file(folder / "omi-5.npz", "sub-pca", causes=folder / "interpretation_label" / "omi-5.txt")
    assert answer["metrics"]["vus_pr"] == pytest.approx(0.79, abs=0.03)
    assert answer["pca"]["vus_pr"] == pytest.approx(0.31, abs=0.03)
    assert answer["random"]["vus_pr"] == pytest.approx(0.09, abs=0.03)
    assert answer["explanation"]["moving_mean"]["hit_100"] > answer["explanation"]["moving_mean"]["chance_100"]
