"""Detectors of sequences: the contract of all detectors, saved models, and scores of the simple detectors."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.data.series import make_windows
from core.detectors import sequences
from core.detectors.base import Floats32, SequenceDetector
from core.detectors.pca import fit_pca_axes, project_on_axes
from core.detectors.reconstruction import ReconstructionDetector, find_covering_windows
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.detectors.sequences.kmeans_ad import KMeansAD
from core.detectors.sequences.mean_distance import MeanDistance
from core.detectors.sequences.moving_mean import MovingMean
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.sub_pca import SubPCA
from core.progress import CancelledError, Progress
from core.runs.model_files import list_trusted_types, load_model, save_model
from core.runs.tracked_run import track_run
from core.spec.hyperparameters import build_from_settings, get_hyperparameters, get_params
from core.spec.plugins import discover_classes
from core.workspace import Workspace

DETECTORS = discover_classes(sequences, SequenceDetector)
QUICK_SETTINGS = {"seconds": 30.0, "steps": 60}  # a time limit alone is not reproducible
ALL_DETECTORS = pytest.mark.parametrize("name", DETECTORS)
SIMPLE_DETECTORS = [KMeansAD, MeanDistance, MovingMean, PcaResidual, SubPCA]
WINDOW_DETECTORS = [KMeansAD, SubPCA]
OUTLIER_ROW = 250  # the injected row


def make_quick_detector(name: str, **options: Any) -> SequenceDetector:
    hyperparameters = get_hyperparameters(DETECTORS[name])
    return build_from_settings(
        DETECTORS[name], {key: value for key, value in (QUICK_SETTINGS | options).items() if key in hyperparameters}
    )


def make_waves(rows: int, seed: int = 0, columns: int = 5) -> Floats32:
    """Make columns that follow one wave with different amplitudes, with noise of standard deviation 0.05."""
    wave = np.sin(np.arange(rows) / 12)[:, None] * np.linspace(0.5, 1.0, columns)
    return (wave + np.random.default_rng(seed).normal(0, 0.05, (rows, columns))).astype(np.float32)


@pytest.fixture(scope="module")
def train() -> Floats32:
    return make_waves(900)


@pytest.fixture(scope="module")
def test() -> Floats32:
    """Rows like those of `train`, with one outlier."""
    values = make_waves(500, seed=1)
    values[OUTLIER_ROW] += 6.0
    return values


@pytest.fixture(scope="module")
def fitted_detectors(train: Floats32) -> dict[str, SequenceDetector]:
    return {name: make_quick_detector(name).fit([train], Progress()) for name in DETECTORS}


# ---- the contract of all detectors ----------------------------------------------------------------------------------


def test_sequence_detector_registry_matches_folder() -> None:
    assert {cls.name for cls in SIMPLE_DETECTORS} <= set(DETECTORS)


@ALL_DETECTORS
def test_sequence_detector_gives_finite_score_per_row(
    name: str, fitted_detectors: dict[str, SequenceDetector], test: Floats32
) -> None:
    scored = fitted_detectors[name].score(test)
    assert scored.score.shape == (len(test),)
    assert scored.shares.shape == test.shape
    assert scored.score.dtype == scored.shares.dtype == np.float32
    assert np.isfinite(scored.score).all()
    assert np.isfinite(scored.shares).all()
    for band in (scored.expected, scored.spread):
        assert band is None or band.shape == test.shape
    assert scored.categories is None or np.allclose(scored.categories.sum(axis=1), 1, atol=1e-4)


@ALL_DETECTORS
def test_sequence_detector_finds_outlier_row(
    name: str, fitted_detectors: dict[str, SequenceDetector], test: Floats32
) -> None:
    """The score of the row is higher than all scores at a distance of 25 rows or more."""
    scores = fitted_detectors[name].score(test).score
    assert scores[OUTLIER_ROW] > scores[: OUTLIER_ROW - 25].max()
    assert scores[OUTLIER_ROW] > scores[OUTLIER_ROW + 25 :].max()


@ALL_DETECTORS
def test_sequence_detector_shares_name_deviating_column(
    name: str, fitted_detectors: dict[str, SequenceDetector]
) -> None:
    values = make_waves(500, seed=1)
    values[OUTLIER_ROW : OUTLIER_ROW + 5, 3] += 3.0
    assert int(np.argmax(fitted_detectors[name].score(values).shares[OUTLIER_ROW : OUTLIER_ROW + 5].sum(axis=0))) == 3


@ALL_DETECTORS
def test_sequence_detector_is_deterministic(name: str, train: Floats32, test: Floats32) -> None:
    first, second = (make_quick_detector(name).fit([train], Progress()).score(test) for _ in range(2))
    assert np.array_equal(first.score, second.score)
    assert np.array_equal(first.shares, second.shares)


@ALL_DETECTORS
def test_sequence_detector_leaves_series_unchanged(name: str, train: Floats32, test: Floats32) -> None:
    before = train.copy(), test.copy()
    make_quick_detector(name).fit([train], Progress()).score(test)
    assert np.array_equal(train, before[0])
    assert np.array_equal(test, before[1])


@ALL_DETECTORS
def test_sequence_detector_accepts_constant_and_missing_values(name: str, train: Floats32, test: Floats32) -> None:
    """One column is constant, one all missing; 5 % of the values and a gap longer than a window are missing."""
    random = np.random.default_rng(2)

    def remove_values(values: Floats32) -> Floats32:
        incomplete = np.where(random.random(values.shape) < 0.05, np.float32(np.nan), values)
        incomplete[:, 0], incomplete[:, 1] = 0.0, np.nan
        incomplete[100:150] = np.nan
        incomplete[OUTLIER_ROW] = values[OUTLIER_ROW]
        return incomplete

    incomplete_test = remove_values(test)
    scored = make_quick_detector(name).fit([remove_values(train)], Progress()).score(incomplete_test)
    assert np.isfinite(scored.score).all()
    assert np.isfinite(scored.shares).all()
    assert scored.score[OUTLIER_ROW] > np.delete(scored.score, np.s_[OUTLIER_ROW - 25 : OUTLIER_ROW + 25]).max()
    if "window" not in get_hyperparameters(DETECTORS[name]):  # with a window, a row shares the scores of its neighbours
        assert not scored.shares[np.isnan(incomplete_test)].any()


@ALL_DETECTORS
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_sequence_detector_accepts_series_shorter_than_window(
    name: str, rows: int, fitted_detectors: dict[str, SequenceDetector], test: Floats32
) -> None:
    scored = fitted_detectors[name].score(test[:rows])
    assert scored.score.shape == (rows,)
    assert np.isfinite(scored.score).all()
    assert scored.expected is None or scored.expected.shape == (rows, test.shape[1])


@ALL_DETECTORS
def test_sequence_detector_fits_short_series(name: str, train: Floats32, test: Floats32) -> None:
    detector = make_quick_detector(name).fit([train[:3], train[3:12], train[12:]], Progress())
    assert np.isfinite(detector.score(test).score).all()


@ALL_DETECTORS
def test_sequence_detector_accepts_one_column(name: str) -> None:
    values = make_waves(400, columns=1)
    values[OUTLIER_ROW] += 6.0
    scores = make_quick_detector(name).fit([make_waves(600, seed=3, columns=1)], Progress()).score(values).score
    assert scores[OUTLIER_ROW] > np.delete(scores, np.s_[OUTLIER_ROW - 25 : OUTLIER_ROW + 25]).max()


@ALL_DETECTORS
def test_sequence_detector_scores_series_together_as_alone(
    name: str, fitted_detectors: dict[str, SequenceDetector], test: Floats32
) -> None:
    detector, parts = fitted_detectors[name], [test[:200], test[200:260], test]
    for together, alone in zip(detector.score_many(parts), [detector.score(part) for part in parts], strict=True):
        assert np.allclose(together.score, alone.score, rtol=1e-4, atol=1e-4)


@ALL_DETECTORS
def test_sequence_detector_hyperparameters_have_help_and_default(name: str) -> None:
    assert all(field.metadata["help"] for field in get_hyperparameters(DETECTORS[name]).values())
    assert get_params(build_from_settings(DETECTORS[name], get_params(DETECTORS[name]()))) == get_params(
        DETECTORS[name]()
    )


@ALL_DETECTORS
def test_sequence_detector_fitted_attributes_end_in_underscore(
    name: str, fitted_detectors: dict[str, SequenceDetector]
) -> None:
    attributes = vars(fitted_detectors[name]).keys() - get_hyperparameters(DETECTORS[name]).keys()
    assert attributes
    assert all(attribute.endswith("_") for attribute in attributes)


@ALL_DETECTORS
def test_sequence_detector_training_can_be_cancelled(name: str, train: Floats32) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        make_quick_detector(name).fit([train], progress)


# ---- saved models ---------------------------------------------------------------------------------------------------


def make_dataset(values: Floats32) -> Dataset:
    timestamps = pd.date_range("2024-01-01", periods=len(values), freq="min")
    frame = pd.DataFrame(values.astype(float), index=make_index(np.repeat("server", len(values)), timestamps))
    frame.columns = [f"kpi {number}" for number in range(values.shape[1])]
    return Dataset(frame, "kpi_matrix", step=pd.Timedelta(minutes=1), files=("made.npz",))


@ALL_DETECTORS
def test_sequence_detector_model_round_trips(name: str, train: Floats32, test: Floats32, workspace: Workspace) -> None:
    model = SequenceModel(make_quick_detector(name), Scaling("minmax")).fit(make_dataset(train))
    model.threshold_ = 1.5
    [scored] = model.score(make_dataset(test))
    table = make_dataset(test).frame.head(30).reset_index()
    with track_run("tests", "Nothing", {}, make_dataset(train), Actor("alice", "tests"), workspace) as run:
        save_model(run.folder / "model", model, table.assign(entity=table["entity"].astype(str)))
    again = load_model(run.id, SequenceModel, workspace)
    assert np.array_equal(again.score(make_dataset(test))[0].score, scored.score)
    assert np.array_equal(again.calibration_, model.calibration_)
    assert again.threshold_ == 1.5


def test_sequence_detector_classes_are_trusted_in_models() -> None:
    class_names = {f"{cls.__module__}.{cls.__qualname__}" for cls in (*DETECTORS.values(), Scaling, SequenceModel)}
    assert class_names <= set(list_trusted_types())


# ---- scores of the simple detectors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", SIMPLE_DETECTORS)
def test_sequence_detector_shares_sum_to_score(cls: type[SequenceDetector], train: Floats32, test: Floats32) -> None:
    scored = cls().fit([train], Progress()).score(test)
    assert np.allclose(scored.shares.sum(axis=1), scored.score, rtol=1e-4)
    assert (scored.shares >= 0).all()


@pytest.mark.parametrize("cls", SIMPLE_DETECTORS)
def test_sequence_detector_expected_band_contains_normal_values(cls: type[SequenceDetector], train: Floats32) -> None:
    usual = make_waves(500, seed=4)
    scored = cls().fit([train], Progress()).score(usual)
    assert scored.expected is not None
    assert scored.spread is not None
    inside = np.abs(usual - scored.expected) <= 3 * scored.spread
    assert inside.mean() > 0.97


def test_mean_distance_by_hand() -> None:
    train = np.array([[0, 10], [2, 30]], dtype=np.float32)
    scored = MeanDistance().fit([train], Progress()).score(np.array([[4, 20], [1, np.nan]], dtype=np.float32))
    assert scored.score.tolist() == [9.0, 0.0]
    assert scored.shares.tolist() == [[9.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("columns", [2, 3, 8])
def test_pca_residual_matches_scikit_learn(columns: int) -> None:
    from sklearn.decomposition import PCA

    train, test = (make_waves(600, seed, columns) for seed in (0, 1))
    ours = PcaResidual(variance=0.9).fit([train], Progress()).score(test)
    theirs = PCA(0.9, svd_solver="full").fit(train.astype(float))
    assert theirs.n_components_ < columns, "all components are kept, so there is no residual to compare"
    expected = theirs.inverse_transform(theirs.transform(test.astype(float)))
    assert np.allclose(ours.expected, expected, atol=1e-4)
    assert np.allclose(ours.score, ((test - expected) ** 2).sum(axis=1), rtol=1e-3, atol=1e-5)


def test_pca_residual_predicts_missing_value() -> None:
    """The row is far from the mean but fits the other columns, so a missing value adds no residual."""
    train = make_waves(2000)
    row = (3 * np.linspace(0.5, 1.0, 5)[None]).astype(np.float32)
    detector = PcaResidual().fit([train], Progress())
    complete = detector.score(row)
    row[0, 2] = np.nan
    incomplete = detector.score(row)
    assert incomplete.score[0] < 1.1 * complete.score[0] + 0.01
    assert incomplete.expected is not None
    assert incomplete.expected[0, 2] == pytest.approx(3 * 0.75, abs=0.2)


def test_pca_residual_accepts_joint_rise_unlike_mean_distance() -> None:
    train, direction = make_waves(900), np.linspace(0.5, 1.0, 5).astype(np.float32)
    together, apart = 3 * direction[None], 0.4 * direction[::-1][None]
    pca, mean = (cls().fit([train], Progress()) for cls in (PcaResidual, MeanDistance))
    assert pca.score(together).score < pca.score(apart).score
    assert mean.score(together).score > mean.score(apart).score


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("window", [2, 5, 21])
def test_moving_mean_matches_pandas(window: int, centred: bool) -> None:
    values = make_waves(200)
    values[40:45, 1] = np.nan
    frame = pd.DataFrame(values.astype(float))
    shift = (window - 1) // 2 if centred else 0
    later = pd.concat([frame, pd.DataFrame(np.full((shift, 5), np.nan))], ignore_index=True)
    level = later.rolling(window, min_periods=1).mean().shift(-shift).iloc[:200].to_numpy()
    scored = MovingMean(window, centred).fit([values], Progress()).score(values)
    assert np.allclose(scored.expected, level, atol=1e-5, equal_nan=True)
    assert np.allclose(scored.score, np.nan_to_num(np.abs(values - level)).sum(axis=1) / 5, atol=1e-5)


@pytest.mark.parametrize("cls", WINDOW_DETECTORS)
def test_window_scores_by_hand(cls: type[ReconstructionDetector], train: Floats32, test: Floats32) -> None:
    """The score of a row is the mean over the windows that contain it, each scored on its own."""
    detector = cls(window=8).fit([train], Progress())  # type: ignore[call-arg]
    ours = detector.score(test)
    flat = make_windows(test, 8).reshape(len(test) - 7, -1)
    squares = np.square(flat - detector._reconstruct(flat)).reshape(-1, 8, 5).mean(axis=1)
    by_hand = np.array([squares[max(row - 7, 0) : row + 1].mean(axis=0) for row in range(len(test))])
    assert np.allclose(ours.shares, by_hand, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("cls", [*WINDOW_DETECTORS, MovingMean])
def test_window_scores_without_lookahead_ignore_future(
    cls: type[SequenceDetector], train: Floats32, test: Floats32
) -> None:
    """With lookahead the scores do change, so the test can fail."""
    changed = test.copy()
    changed[300:] += 2.0
    for centred in (False, True):
        detector = cls(centred=centred).fit([train], Progress())  # type: ignore[call-arg]
        before, after = (detector.score(rows).score[:300] for rows in (test, changed))
        assert np.allclose(before, after, rtol=1e-5) is not centred


@given(rows=st.integers(1, 60), window=st.integers(1, 60))
def test_window_scores_cover_each_row(rows: int, window: int) -> None:
    rows = max(rows, window)
    first, last = find_covering_windows(rows, window)
    cover = [[start for start in range(rows - window + 1) if start <= row < start + window] for row in range(rows)]
    assert [list(range(a, b)) for a, b in zip(first, last, strict=True)] == cover


def test_sliding_windows_are_a_view() -> None:
    values = make_waves(50)
    view = make_windows(values, 7)
    assert view.shape == (44, 7, 5)
    assert np.shares_memory(view, values)
    assert np.array_equal(view[3], values[3:10])


def test_pca_axes_omit_smallest_direction() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    mean, axes = fit_pca_axes(rows, 0.999)
    assert axes.shape == (3, 2)
    assert np.allclose(axes.T @ axes, np.eye(2), atol=1e-5)
    assert np.allclose(
        project_on_axes(project_on_axes(rows, mean, axes), mean, axes), project_on_axes(rows, mean, axes), atol=1e-5
    )
    assert fit_pca_axes(np.ones((5, 3), dtype=np.float32), 0.9)[1].shape == (3, 0)


@pytest.mark.parametrize("cls", SIMPLE_DETECTORS)
def test_sequence_detectors_score_large_series_in_blocks(cls: type[SequenceDetector]) -> None:
    """Blocks keep the memory for 24,000 rows of 38 columns far below 20 copies."""
    import tracemalloc

    values = make_waves(24_000, columns=38)
    detector = cls().fit([values], Progress())
    detector.score(values[:100])
    tracemalloc.start()
    detector.score(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * values.nbytes + 100e6


# ---- real servers ---------------------------------------------------------------------------------------------------


def test_simple_detectors_reach_f1_on_real_server(shared_data: Path) -> None:
    from core.evaluation.detection_metrics import compute_detection_metrics

    with np.load(shared_data / "smd" / "machine-3-4.npz", allow_pickle=False) as file:
        train, test, labels = file["train"], file["test"], file["label"]
    scaling = Scaling("minmax").fit([train])
    metrics = {
        cls.name: compute_detection_metrics(
            labels, cls().fit([scaling.transform(train)], Progress()).score(scaling.transform(test)).score
        )
        for cls in (MeanDistance, PcaResidual, SubPCA)
    }
    assert metrics["mean-distance"]["f1"] > 0.85
    assert metrics["pca-residual"]["f1"] > 0.85
    assert metrics["sub-pca"]["f1"] > 0.9
    assert metrics["sub-pca"]["vus_pr"] > 0.95
