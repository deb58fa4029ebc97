"""SGmVRNN: agreement with the published equations, windowed and streaming scores, training with checkpoints."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.detectors import training
from core.detectors.sequences.sgmvrnn import LOG_2PI, ModelDims, Noise, Scorer, SwitchingVRNN, unflatten
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN
from core.detectors.sequences.sgmvrnn_original import OriginalVRNN, choose_conv_strides, compute_flat_size
from core.errors import DataError
from core.progress import CancelledError, Progress
from tests.support.sgmvrnn_reference import compute_terms_stepwise

TEMPERATURE = 1.7


def make_original_problem(n: int, length: int, seed: int = 0) -> tuple[ModelDims, Tensor, Tensor, Noise]:
    """Return dimensions, weights, windows and noise of the original model, in double precision."""
    return make_problem(OriginalVRNN, n, length, seed)


def make_problem(
    model: type[SwitchingVRNN], n: int, length: int, seed: int = 0
) -> tuple[ModelDims, Tensor, Tensor, Noise]:
    dims = ModelDims(n, categories=5, latent=10, state=20)
    vector = model.init_weights(dims, seed).double()
    vector += 0.05 * torch.randn(len(vector), generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    rng = torch.Generator().manual_seed(seed + 2)
    x = torch.rand(length, 3, n, generator=rng, dtype=torch.float64) * 2 - 1
    return dims, vector, x, Noise.draw(dims, x, rng)


@pytest.mark.parametrize(("n", "strides", "flat", "count"), [(36, (3, 2, 2), 96, 29_915), (38, (2, 2, 2), 160, 37_699)])
def test_original_vrnn_has_published_sizes(n: int, strides: tuple[int, ...], flat: int, count: int) -> None:
    assert (choose_conv_strides(n), compute_flat_size(n)) == (strides, flat)
    assert OriginalVRNN.init_weights(ModelDims(n, categories=5, latent=10, state=20), 0).numel() == count


@pytest.mark.parametrize("n", [1, 7, 36, 38, 96])
def test_original_vrnn_loss_and_gradients_match_equations(n: int) -> None:
    dims, vector, x, noise = make_original_problem(n, 20)
    weights = vector.clone().requires_grad_()
    model = OriginalVRNN(dims, weights)
    nll, latent_kl, category_kl = model.compute_elbo_terms(x, None, noise, TEMPERATURE)
    model.sum_terms(nll, latent_kl, category_kl).backward()
    reference_weights = vector.clone().requires_grad_()
    expected_nll, expected_latent_kl, expected_category_kl, _ = compute_terms_stepwise(
        unflatten(reference_weights, OriginalVRNN.list_weight_shapes(dims)), dims, x, noise, TEMPERATURE
    )
    ((expected_nll + expected_latent_kl + expected_category_kl) / x.shape[1]).backward()
    for actual, expected in (
        (nll.sum(), expected_nll),
        (latent_kl.sum(), expected_latent_kl),
        (category_kl.mean(), expected_category_kl),
    ):
        assert float(actual.detach()) == pytest.approx(float(expected.detach()), rel=1e-10)
    assert weights.grad is not None
    assert reference_weights.grad is not None
    torch.testing.assert_close(weights.grad, reference_weights.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("n", [5, 38])
def test_original_vrnn_score_matches_equations(n: int) -> None:
    dims, vector, x, noise = make_original_problem(n, 20)
    model = OriginalVRNN(dims, vector)
    weights = unflatten(vector, model.list_weight_shapes(dims))
    scorer = Scorer(model, TEMPERATURE, torch.zeros(n), predictive=False)
    with torch.inference_mode():
        for window in range(x.shape[1]):
            values, gumbel = x[:, window], noise.gumbel[:, window : window + 1]
            noisy = Noise(gumbel, torch.zeros(20, 1, dims.latent))  # scoring uses the mean of z
            scores = scorer.score_window_ends(values, None, model.project(values), torch.tensor([19]), 20, noisy)
            expected = compute_terms_stepwise(
                weights, dims, x[:, window : window + 1], noisy, TEMPERATURE, evaluating=True
            )[3]
            assert float(scores.nll.sum()) == pytest.approx(float(expected), rel=1e-10)


def test_original_vrnn_float32_loss_matches_float64() -> None:
    dims, vector, x, noise = make_original_problem(38, 20)
    single = Noise(noise.gumbel.float(), noise.normal.float())
    with torch.no_grad():
        loss = OriginalVRNN(dims, vector.float()).compute_loss(x.float(), None, single, TEMPERATURE)
        nll, latent_kl, category_kl, _ = compute_terms_stepwise(
            unflatten(vector, OriginalVRNN.list_weight_shapes(dims)), dims, x, noise, TEMPERATURE
        )
    assert float(loss) == pytest.approx(float((nll + latent_kl + category_kl) / 3), rel=2e-6)


@pytest.mark.parametrize("model", [SwitchingVRNN, OriginalVRNN])
def test_sgmvrnn_gradients_match_numerical_gradients(model: type[SwitchingVRNN]) -> None:
    """A step of the published form must not overwrite values that its gradients need."""
    dims, vector, x, noise = make_problem(model, 4, 3)

    def loss(weights: Tensor) -> Tensor:
        return model(dims, weights, -3.0).compute_loss(x, None, noise, TEMPERATURE)

    assert torch.autograd.gradcheck(loss, (vector.requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize("model", [SwitchingVRNN, OriginalVRNN])
def test_sgmvrnn_without_logvar_takes_same_steps(model: type[SwitchingVRNN]) -> None:
    dims, vector, x, _ = make_problem(model, 6, 9)
    zeros = x.new_zeros(3, dims.state)
    states, steps = model(dims, vector, -3.0).unroll(x, zeros, zeros, TEMPERATURE)
    states_without_logvar, steps_without_logvar = model(dims, vector, -3.0, with_logvar=False).unroll(
        x, zeros, zeros, TEMPERATURE
    )
    torch.testing.assert_close(states_without_logvar, states)
    for name in ("logits", "c", "mean", "z", "h", "cell"):
        torch.testing.assert_close(getattr(steps_without_logvar, name), getattr(steps, name))


# ---- scoring --------------------------------------------------------------------------------------------------------


def make_waves(rows: int, columns: int = 6, seed: int = 0) -> np.ndarray:
    """Return noisy sine waves (rows, columns) in the scale of a model's input."""
    rng = np.random.default_rng(seed)
    phase = np.arange(rows)[:, None] * (0.1 + 0.02 * np.arange(columns))
    return (0.6 * np.sin(phase) + 0.1 * rng.normal(size=(rows, columns))).astype(np.float32)


def make_detector(**changes: object) -> SGmVRNN:
    return SGmVRNN(**{"steps": 60, "batch_size": 32, "smoothing": 1} | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted_detector() -> SGmVRNN:
    return make_detector(steps=300).fit([make_waves(3000)], Progress())


def test_sgmvrnn_scores_outlier_row_and_column_highest(fitted_detector: SGmVRNN) -> None:
    series = make_waves(500, seed=1)
    series[300, 4] = 2.5
    scored = fitted_detector.score(series)
    assert int(scored.score.argmax()) == 300
    assert int(scored.shares[300].argmax()) == 4
    assert scored.expected is not None
    assert scored.spread is not None
    assert abs(scored.expected[300, 4]) < 1.0
    assert (scored.spread >= math.exp(fitted_detector.log_sigma_floor) * 0.999).all()


def test_sgmvrnn_shares_sum_to_score_above_minimum(fitted_detector: SGmVRNN) -> None:
    scored = fitted_detector.score(make_waves(200, seed=2))
    min_score = 6 * (LOG_2PI / 2 + fitted_detector.log_sigma_floor)
    np.testing.assert_allclose(scored.shares.sum(axis=1) + min_score, scored.score, atol=1e-4)


def test_sgmvrnn_streaming_scores_match_windows(fitted_detector: SGmVRNN) -> None:
    series = make_waves(600, seed=3)
    windows = fitted_detector.score(series)
    streams = copy_with_scoring(fitted_detector, "streaming").score(series)
    # both start with the same state
    np.testing.assert_allclose(streams.score[:20], windows.score[:20], rtol=1e-4, atol=1e-4)
    assert np.corrcoef(streams.score, windows.score)[0, 1] > 0.99


def copy_with_scoring(detector: SGmVRNN, scoring: str, **changes: object) -> SGmVRNN:
    detector_copy = make_detector(steps=detector.steps, scoring=scoring, **changes)
    vars(detector_copy).update({name: value for name, value in vars(detector).items() if name.endswith("_")})
    return detector_copy


@pytest.mark.parametrize("score_timing", ["before", "after"])
def test_sgmvrnn_single_rows_score_as_block(fitted_detector: SGmVRNN, score_timing: str) -> None:
    series = np.stack([make_waves(40, seed=4), make_waves(40, seed=5)], axis=1)
    series[7, 0, 3] = series[8, 1] = np.nan
    fitted_detector = copy_with_scoring(fitted_detector, "streaming", score_timing=score_timing)
    stream = fitted_detector.start_stream(series=2)
    single_scores = np.array([stream.score_next_rows(row) for row in series])
    block_scores = fitted_detector.start_stream(series=2).score_block(series).nll.sum(-1).numpy()
    np.testing.assert_allclose(single_scores, block_scores, rtol=1e-4, atol=1e-5)


def test_sgmvrnn_parallel_series_score_as_alone(fitted_detector: SGmVRNN) -> None:
    streaming = copy_with_scoring(fitted_detector, "streaming")
    series = [make_waves(rows, seed=rows) for rows in (30, 7, 55, 1)]
    for values, scored in zip(series, streaming.score_many(series), strict=True):
        np.testing.assert_allclose(streaming.score(values).score, scored.score, rtol=1e-4, atol=1e-5)


def test_sgmvrnn_windowed_score_uses_only_its_window(fitted_detector: SGmVRNN) -> None:
    series = make_waves(200, seed=6)
    changed_series = series.copy()
    changed_series[:100], changed_series[121:] = 0.9, -0.9
    np.testing.assert_allclose(
        fitted_detector.score(series).score[119:121],
        fitted_detector.score(changed_series).score[119:121],
        rtol=1e-4,
        atol=1e-5,
    )


def test_sgmvrnn_missing_value_adds_nothing_to_score(fitted_detector: SGmVRNN) -> None:
    series = make_waves(100, seed=7)
    series[50:60, 2] = np.nan
    series[70] = np.nan
    scored = fitted_detector.score(series)
    assert np.isfinite(scored.score).all()
    assert (scored.shares[50:60, 2] == 0).all()
    assert (scored.shares[70] == 0).all()


@settings(max_examples=12)
@given(
    columns=st.integers(1, 12),
    window=st.integers(2, 25),
    rows=st.integers(10, 60),
    fidelity=st.sampled_from(["default", "original"]),
    scoring=st.sampled_from(["windows", "streaming"]),
)
def test_sgmvrnn_accepts_any_columns_and_window(
    columns: int, window: int, rows: int, fidelity: str, scoring: str
) -> None:
    series = make_waves(rows, columns)
    detector = make_detector(steps=2, window=window, fidelity=fidelity, scoring=scoring).fit(
        [series, series[:9]], Progress()
    )
    for scored in detector.score_many([series, series[:1]]):
        assert scored.score.shape == scored.shares.shape[:1]
        assert scored.shares.shape[1] == columns
        assert np.isfinite(scored.score).all()
        assert np.isfinite(scored.shares).all()
        assert scored.categories is not None
        np.testing.assert_allclose(scored.categories.sum(axis=1), 1, rtol=1e-4)


# ---- training -------------------------------------------------------------------------------------------------------


def test_sgmvrnn_training_is_reproducible_by_seed() -> None:
    series = [make_waves(300)]
    first, repeated, other = (make_detector(seed=seed).fit(series, Progress()).weights_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, repeated)
    assert not np.array_equal(first, other)


def test_sgmvrnn_training_reports_progress_and_loss() -> None:
    progress = Progress()
    make_detector().fit([make_waves(300)], progress)
    assert progress.share == 1.0
    losses = [value for _, value in progress.curves["loss"]]
    assert losses[-1] < losses[0]
    assert [step for step, _ in progress.curves["held-out rows"]] == [50, 60]


def test_sgmvrnn_uses_several_categories() -> None:
    """The series has two regimes, so the model needs more than one category."""
    regimes = np.repeat(np.tile([0.8, -0.8], 20), 60)[:, None] + 0.5 * make_waves(2400)
    detector = make_detector(steps=400, seed=0).fit([regimes.astype(np.float32)], Progress())
    categories = detector.score(regimes.astype(np.float32)).categories
    assert categories is not None
    assert np.unique(categories.argmax(axis=1)).size > 1


class KilledProgress(Progress):
    """Progress that raises KeyboardInterrupt after `after` reports, like a process that is killed."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self.remaining_reports = after

    def report(self, share: float, stage: str = "") -> None:
        self.remaining_reports -= 1
        if self.remaining_reports < 0:
            raise KeyboardInterrupt
        super().report(share, stage)


def test_sgmvrnn_training_resumes_from_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL_S", 0.0)
    series = [make_waves(400)]
    uninterrupted = make_detector(steps=150).fit(series, Progress())
    with pytest.raises(KeyboardInterrupt):
        make_detector(steps=150).fit(series, KilledProgress(tmp_path, after=8))
    assert (tmp_path / "checkpoint.npz").is_file()
    progress = Progress(tmp_path)
    resumed = make_detector(steps=150).fit(series, progress)
    np.testing.assert_array_equal(resumed.weights_, uninterrupted.weights_)
    assert min(step for step, _ in progress.curves["loss"]) > 50, "the training started again from step 0"


def test_sgmvrnn_rejects_foreign_or_damaged_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL_S", 0.0)
    make_detector().fit([make_waves(300)], Progress(tmp_path))
    path = tmp_path / "checkpoint.npz"
    content = path.read_bytes()
    for series, detector in (([make_waves(301)], make_detector()), ([make_waves(300)], make_detector(seed=5))):
        with pytest.raises(DataError, match=r"checkpoint\.npz was made with other data, settings or versions"):
            detector.fit(series, Progress(tmp_path))
        assert path.read_bytes() == content
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        make_detector().fit([make_waves(300)], Progress(tmp_path))


def test_sgmvrnn_reuses_checkpoint_of_finished_training(tmp_path: Path) -> None:
    first = make_detector().fit([make_waves(300)], Progress(tmp_path / "new"))
    progress = Progress(tmp_path / "new")
    np.testing.assert_array_equal(make_detector().fit([make_waves(300)], progress).weights_, first.weights_)
    assert not progress.curves


def test_sgmvrnn_training_can_be_cancelled() -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        make_detector().fit([make_waves(300)], progress)


def test_sgmvrnn_training_rejects_nan_loss(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the loss is not a finite number"):
        make_detector(fidelity="original", learning_rate=0.1, steps=3000).fit([1e4 * make_waves(300)], Progress())
