"""Detection metrics compared with hand calculations, scikit-learn, TSB-AD and published figures; edge cases."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.ensemble import IsolationForest

from core.array_types import Floats
from core.errors import DataError
from core.evaluation.affiliation import compute_affiliation, find_best_affiliation_f1
from core.evaluation.detection_metrics import (
    METRIC_NAMES,
    Ranking,
    compute_delay,
    compute_detection_metrics,
    find_best_f1,
)
from core.evaluation.validation import Flags
from core.evaluation.vus import compute_vus, find_ranges


@st.composite
def labelled_scores(draw: st.DrawFn) -> tuple[Flags, Floats]:
    """Draw labels of both classes, and scores with ties, for 2 to 120 rows."""
    rows = draw(st.integers(2, 120))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    labels = random.random(rows) < draw(st.sampled_from([0.05, 0.3, 0.8]))
    labels[random.permutation(rows)[:2]] = [True, False]
    return labels, (random.normal(size=rows) + draw(st.sampled_from([0, 2])) * labels).round(draw(st.integers(0, 3)))


def make_labelled_scores(seed: int, rows: int, events: int) -> tuple[Flags, Floats]:
    random = np.random.default_rng(seed)
    labels = np.zeros(rows, dtype=int)
    for start in random.integers(0, rows - 40, events):
        labels[start : start + random.integers(1, 40)] = 1
    return labels.astype(bool), (random.normal(size=rows) + labels).round(2)


# ---- hand calculations ----------------------------------------------------------------------------------------------

LABELS = np.array([0, 1, 1, 1, 0, 0, 0, 0, 1, 0], dtype=bool)
SCORES = np.array([1, 2, 9, 3, 8, 0, 1, 2, 7, 1], dtype=float)


def test_find_ranges_returns_first_and_last_rows() -> None:
    first, last = find_ranges(np.array([1, 1, 0, 1, 0, 1], dtype=bool))
    assert (first.tolist(), last.tolist()) == ([0, 3, 5], [1, 3, 5])
    assert [len(bounds) for bounds in find_ranges(np.zeros(3, dtype=bool))] == [0, 0]


def test_detection_metrics_match_hand_calculation() -> None:
    """Alarms in the order 9, 8, 7, 3, 2 (two rows), 1: all four anomalous rows lie above 1, with two false alarms."""
    result = compute_detection_metrics(LABELS, SCORES, 4)
    assert result["f1"] == pytest.approx(0.8)
    assert result["threshold"] == 1
    assert result["auc_pr"] == pytest.approx((1 + 2 / 3 + 3 / 4 + 4 / 6) / 4)
    assert result["event_f1"] == pytest.approx(
        2 * 0.75 / 1.75
    )  # above 2 both events are found, with three of four rows right
    assert result["pa_f1"] == pytest.approx(2 * 0.8 / 1.8)  # above 2, four rows of events and one false alarm
    assert result["delay"] == 0
    assert list(result) == [*METRIC_NAMES, "window"]


def test_detection_metrics_threshold_reaches_best_f1() -> None:
    labels, scores = make_labelled_scores(0, 400, 5)
    result = compute_detection_metrics(labels, scores)
    assert metrics.f1_score(labels, scores > result["threshold"]) == pytest.approx(result["f1"])
    assert find_best_f1(labels, scores) == (result["f1"], result["threshold"])


def test_delay_matches_hand_calculation() -> None:
    alarms = np.zeros(10, dtype=bool)
    assert compute_delay(LABELS, alarms) == 2  # both events missed: three rows and one
    alarms[[0, 3]] = True  # an alarm before the event does not count
    assert compute_delay(LABELS, alarms) == 1.5


def test_vus_matches_hand_calculation() -> None:
    """One of five rows is anomalous, and its neighbour has the highest score.

    The buffer is 0 to 2 rows; at 2 it covers one row on either side, with weight √½.
    """
    labels, scores = np.array([0, 0, 1, 0, 0], dtype=bool), np.array([0.0, 3.0, 2.0, 1.0, 0.0])
    near = np.sqrt(0.5)
    sharp = 1 / 2  # without a buffer the second alarm finds the row; a buffer of 1 adds nothing
    vague = near / (1 + near / 2) * near + (1 - near / (1 + near / 2)) * (1 + near) / 2
    assert compute_vus(labels, scores, 2, thresholds=5)[0] == pytest.approx((2 * sharp + vague) / 3)


# ---- reference implementations --------------------------------------------------------------------------------------


@given(labelled_scores())
def test_detection_metrics_match_scikit_learn(case: tuple[Flags, Floats]) -> None:
    labels, scores = case
    result = compute_detection_metrics(labels, scores, 5)
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    assert result["auc_pr"] == pytest.approx(metrics.average_precision_score(labels, scores))
    assert result["auc_roc"] == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert result["f1"] == pytest.approx(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))
    assert metrics.f1_score(labels, scores > result["threshold"]) == pytest.approx(result["f1"])


@pytest.mark.parametrize(
    ("seed", "rows", "events", "window", "areas", "nearness"),
    [
        (0, 300, 4, 20, (0.4592182728097364, 0.8813658148540778), (0.8001285862622883, 0.9931112499314211)),
        (1, 500, 12, 30, (0.8519907398512191, 0.8856941128542589), (0.8554444334405001, 0.9264615986837695)),
        (2, 200, 3, 7, (0.6528976976927275, 0.8125543491475742), (0.7094561825236168, 0.9821959036898062)),
        (3, 1000, 25, 100, (0.886236922408377, 0.9310328745926213), (0.8011432159116388, 0.9334049227814999)),
    ],
)
def test_vus_and_affiliation_match_tsb_ad(
    seed: int, rows: int, events: int, window: int, areas: tuple[float, float], nearness: tuple[float, float]
) -> None:
    """The values are those of the package TSB-AD 1.5 on generated rows.

    They are VUS-PR and VUS-ROC, and affiliation precision and recall of the alarms above 1.5.
    """
    labels, scores = make_labelled_scores(seed, rows, events)
    assert compute_vus(labels, scores, window) == pytest.approx(areas, rel=1e-12)
    assert compute_affiliation(labels, scores > 1.5) == pytest.approx(nearness, rel=1e-12)


def test_vus_matches_published_tsb_ad_figure(shared_data: Path) -> None:
    """The benchmark's table has VUS-PR 0.135409; point adjustment makes these scores, and noise, look perfect."""
    table = pd.read_csv(shared_data / "tsb_ad" / "001_NAB_id_1_Facility_tr_1007_1st_2014.csv")
    values, labels = table.iloc[:, :1].to_numpy(), table["Label"].to_numpy()
    scores = -IsolationForest(n_estimators=200, random_state=0).fit(values).score_samples(values)
    forest = compute_detection_metrics(labels, scores, 6)
    noise = compute_detection_metrics(labels, np.random.default_rng(0).random(len(labels)), 6)
    assert forest["vus_pr"] == pytest.approx(0.135409, abs=5e-7)
    assert noise["vus_pr"] == pytest.approx(0.093, abs=5e-4)
    assert forest["pa_f1"] == 1
    assert noise["pa_f1"] > 0.9


def test_detection_metrics_match_figures_of_smd_server(shared_data: Path) -> None:
    """F1, AUC-PR, VUS-PR on machine-2-1: distance to the mean .345, .213, .274; random scores .096, .049, .072."""
    machine = np.load(shared_data / "smd" / "machine-2-1.npz")
    labels = machine["label"]
    distance = ((machine["test"] - machine["train"].mean(axis=0)) ** 2).sum(axis=1)
    keys = ("f1", "auc_pr", "vus_pr", "auc_roc")
    distance_result = compute_detection_metrics(labels, distance, 100)
    assert [distance_result[key] for key in keys] == pytest.approx([0.345, 0.213, 0.274, 0.687], abs=6e-4)
    assert distance_result["event_f1"] == pytest.approx(0.542, abs=6e-4)
    assert distance_result["pa_f1"] == pytest.approx(0.931, abs=6e-4)
    random_results = [
        compute_detection_metrics(labels, np.random.default_rng(seed).random(len(labels)), 100) for seed in range(5)
    ]
    assert [np.mean([result[key] for result in random_results]) for key in keys] == pytest.approx(
        [0.096, 0.049, 0.072, 0.5], abs=0.003
    )


# ---- properties ------------------------------------------------------------------------------------------------------


@given(labelled_scores(), st.integers(0, 30))
def test_detection_metrics_lie_between_0_and_1(case: tuple[Flags, Floats], window: int) -> None:
    result = compute_detection_metrics(*case, window)
    shares = [value for name, value in result.items() if name not in ("threshold", "delay", "window")]
    assert all(0 <= value <= 1 + 1e-12 for value in shares), result


@given(labelled_scores(), st.integers(0, 30))
def test_detection_metrics_depend_on_score_order_only(case: tuple[Flags, Floats], window: int) -> None:
    labels, scores = case
    original, transformed = (
        compute_detection_metrics(labels, scores, window),
        compute_detection_metrics(labels, np.exp(scores / 3) - 7, window),
    )
    for name in set(original) - {"threshold"}:
        assert original[name] == pytest.approx(transformed[name])


@given(labelled_scores())
def test_detection_metrics_of_labels_are_perfect(case: tuple[Flags, Floats]) -> None:
    labels, _ = case
    result = compute_detection_metrics(labels, labels.astype(float), 0)
    best = ("f1", "auc_pr", "auc_roc", "event_f1", "affiliation_f1", "pa_f1")
    assert [result[name] for name in best] == pytest.approx([1.0] * len(best))
    assert result["delay"] == 0
    assert compute_affiliation(labels, labels) == pytest.approx((1, 1))


def test_vus_without_buffer_is_average_precision() -> None:
    """With as many thresholds as rows and no buffer, the area is the plain average precision."""
    labels, scores = make_labelled_scores(7, 250, 1)
    scores = scores + np.random.default_rng(1).random(250) * 1e-6
    assert compute_vus(labels, scores, 0)[0] == pytest.approx(metrics.average_precision_score(labels, scores))


@given(labelled_scores())
def test_affiliation_matches_numerical_integration(case: tuple[Flags, Floats]) -> None:
    """The values match the definition on a fine grid: the share of the zone that lies farther away."""
    labels, scores = case
    alarms = scores >= np.median(scores)
    assert compute_affiliation(labels, alarms) == pytest.approx(_integrate_affiliation(labels, alarms), abs=0.03)


def _integrate_affiliation(labels: Flags, alarms: Flags, cells_per_row: int = 16) -> tuple[float, float]:
    grid = (np.arange(len(labels) * cells_per_row) + 0.5) / cells_per_row
    first, last = find_ranges(labels)
    middle = np.append((last[:-1] + 1 + first[1:]) / 2, np.inf)
    zone = np.searchsorted(middle, grid)
    raised, anomalous = np.repeat(alarms, cells_per_row), np.repeat(labels, cells_per_row)
    precision, recall = [], []
    for number in range(len(first)):
        in_zone = zone == number
        event, alarmed, zone_grid = grid[in_zone & anomalous], grid[in_zone & raised], grid[in_zone]
        if len(alarmed):
            event_distance = np.array([np.abs(event - position).min() for position in zone_grid])
            precision.append(
                np.mean([np.mean(event_distance >= np.abs(event - position).min() - 1e-9) for position in alarmed])
            )
            nearest = [np.abs(alarmed - position).min() for position in event]
            recall.append(
                np.mean(
                    [
                        np.mean(np.abs(zone_grid - position) >= gap - 1e-9)
                        for position, gap in zip(event, nearest, strict=True)
                    ]
                )
            )
        else:
            recall.append(0.0)
    return float(np.mean(precision)), float(np.mean(recall))


# ---- edge cases ------------------------------------------------------------------------------------------------------


def test_detection_metrics_without_anomaly_are_nan() -> None:
    result = compute_detection_metrics(np.zeros(20), np.arange(20.0), 5)
    assert all(np.isnan(result[name]) for name in METRIC_NAMES)
    assert result["window"] == 5
    assert np.isnan(compute_vus(np.zeros(20), np.arange(20.0))).all()
    assert np.isnan(
        [*find_best_f1(np.zeros(3), np.arange(3.0)), find_best_affiliation_f1(np.zeros(3), np.arange(3.0))]
    ).all()


def test_detection_metrics_with_only_anomalies() -> None:
    result = compute_detection_metrics(np.ones(20), np.arange(20.0), 5)
    assert np.isnan([result["auc_roc"], result["vus_roc"]]).all()
    assert [result[name] for name in ("f1", "auc_pr", "vus_pr", "affiliation_f1")] == pytest.approx([1.0] * 4)
    assert (np.arange(20, dtype=np.float32) > result["threshold"]).all()


def test_detection_metrics_of_constant_scores_equal_chance() -> None:
    result = compute_detection_metrics(LABELS, np.ones(10), 0)
    assert result["auc_roc"] == result["vus_roc"] == 0.5
    assert result["auc_pr"] == pytest.approx(0.4)
    assert result["threshold"] < 1


def test_detection_metrics_of_single_row() -> None:
    result = compute_detection_metrics([1], [0.3], 100)
    assert result["f1"] == result["auc_pr"] == result["vus_pr"] == 1
    assert np.isnan(compute_detection_metrics([0], [0.3])["f1"])


def test_affiliation_without_alarms() -> None:
    precision, recall = compute_affiliation(LABELS, np.zeros(10))
    assert np.isnan(precision)
    assert recall == 0


def test_detection_metrics_validate_labels_and_scores() -> None:
    for labels, scores, message in (
        ([0, 1], [0.0, np.nan], "1 of 2 scores is not a finite number, in row 2: nan"),
        ([0, 1], [np.inf, 0.0], "1 of 2 scores is not a finite number, in row 1: inf"),
        ([0, 1, 1], [0.0, 1.0], "3 labels for 2 scores"),
        ([0, np.nan], [0.0, 1.0], "1 of 2 labels is missing"),
        ([], [], "at least one score"),
        ([[0]], [[1.0]], "at least one score"),
    ):
        for measure in (compute_detection_metrics, compute_vus, find_best_f1, find_best_affiliation_f1):
            with pytest.raises(DataError, match=message):
                measure(labels, scores)


def test_ranking_groups_tied_scores() -> None:
    ranking = Ranking.from_scores(np.array([True, False, False]), np.array([1.0, 1.0, 0.0]))
    assert ranking.thresholds.tolist() == [1, 0]
    assert ranking.alarms.tolist() == [2, 3]
    assert ranking.true_positives.tolist() == [1, 1]
