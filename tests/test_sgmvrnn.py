"""SGmVRNN: agreement with the published equations, windowed and streaming scores, training with checkpoints."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.detectors import training
from core.detectors.sequences.sgmvrnn import LOG_2PI, ModelDims, Noise, Scorer, SwitchingVRNN, unflatten
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN
from core.detectors.sequences.sgmvrnn_original import OriginalVRNN, conv_strides, flat_size
from core.errors import DataError
from core.progress import Cancelled, Progress
from tests.sgmvrnn_reference import stepwise

TAU = 1.7


def original(n: int, length: int, seed: int = 0) -> tuple[ModelDims, Tensor, Tensor, Noise]:
    """Return dimensions, weights, windows and noise of the original model, in double precision."""
    return problem(OriginalVRNN, n, length, seed)


def problem(model: type[SwitchingVRNN], n: int, length: int, seed: int = 0) -> tuple[ModelDims, Tensor, Tensor, Noise]:
    dims = ModelDims(n, categories=5, latent=10, state=20)
    vector = model.init_weights(dims, seed).double()
    vector += 0.05 * torch.randn(len(vector), generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    rng = torch.Generator().manual_seed(seed + 2)
    x = torch.rand(length, 3, n, generator=rng, dtype=torch.float64) * 2 - 1
    return dims, vector, x, Noise.draw(dims, x, rng)


@pytest.mark.parametrize(("n", "strides", "flat", "count"), [(36, (3, 2, 2), 96, 29_915), (38, (2, 2, 2), 160, 37_699)])
def test_the_original_has_the_published_sizes(n: int, strides: tuple[int, ...], flat: int, count: int) -> None:
    assert (conv_strides(n), flat_size(n)) == (strides, flat)
    assert OriginalVRNN.init_weights(ModelDims(n, categories=5, latent=10, state=20), 0).numel() == count


@pytest.mark.parametrize("n", [1, 7, 36, 38, 96])
def test_loss_and_gradients_are_those_of_the_equations(n: int) -> None:
    dims, vector, x, noise = original(n, 20)
    ours = vector.clone().requires_grad_()
    model = OriginalVRNN(dims, ours)
    nll, latent_kl, category_kl = model.elbo_terms(x, None, noise, TAU)
    model.sum_terms(nll, latent_kl, category_kl).backward()
    theirs = vector.clone().requires_grad_()
    surprise, latent, category, _ = stepwise(unflatten(theirs, OriginalVRNN.shapes(dims)), dims, x, noise, TAU)
    ((surprise + latent + category) / x.shape[1]).backward()
    for found, expected in ((nll.sum(), surprise), (latent_kl.sum(), latent), (category_kl.mean(), category)):
        assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-10)
    assert ours.grad is not None
    assert theirs.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("n", [5, 38])
def test_the_score_is_that_of_the_equations(n: int) -> None:
    dims, vector, x, noise = original(n, 20)
    model = OriginalVRNN(dims, vector)
    weights = unflatten(vector, model.shapes(dims))
    scorer = Scorer(model, TAU, torch.zeros(n), predictive=False)
    with torch.inference_mode():
        for window in range(x.shape[1]):
            values, gumbel = x[:, window], noise.gumbel[:, window : window + 1]
            noisy = Noise(gumbel, torch.zeros(20, 1, dims.latent))  # scoring uses the mean of z
            scores = scorer.score_window_ends(values, None, model.project(values), torch.tensor([19]), 20, noisy)
            expected = stepwise(weights, dims, x[:, window : window + 1], noisy, TAU, evaluating=True)[3]
            assert float(scores.nll.sum()) == pytest.approx(float(expected), rel=1e-10)


def test_float32_gives_the_same_loss_to_its_precision() -> None:
    dims, vector, x, noise = original(38, 20)
    single = Noise(noise.gumbel.float(), noise.normal.float())
    with torch.no_grad():
        loss = OriginalVRNN(dims, vector.float()).loss(x.float(), None, single, TAU)
        surprise, latent, category, _ = stepwise(unflatten(vector, OriginalVRNN.shapes(dims)), dims, x, noise, TAU)
    assert float(loss) == pytest.approx(float((surprise + latent + category) / 3), rel=2e-6)


@pytest.mark.parametrize("model", [SwitchingVRNN, OriginalVRNN])
def test_gradients_are_the_numerical_ones(model: type[SwitchingVRNN]) -> None:
    """A step of the published form must not overwrite values that its gradients need."""
    dims, vector, x, noise = problem(model, 4, 3)

    def loss(weights: Tensor) -> Tensor:
        return model(dims, weights, -3.0).loss(x, None, noise, TAU)

    assert torch.autograd.gradcheck(loss, (vector.requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize("model", [SwitchingVRNN, OriginalVRNN])
def test_a_model_without_log_variances_takes_the_same_steps(model: type[SwitchingVRNN]) -> None:
    dims, vector, x, _ = problem(model, 6, 9)
    nothing = x.new_zeros(3, dims.state)
    past, steps = model(dims, vector, -3.0).unroll(x, nothing, nothing, TAU)
    fewer, others = model(dims, vector, -3.0, with_logvar=False).unroll(x, nothing, nothing, TAU)
    torch.testing.assert_close(fewer, past)
    for name in ("logits", "c", "mean", "z", "h", "cell"):
        torch.testing.assert_close(getattr(others, name), getattr(steps, name))


# ---- scoring --------------------------------------------------------------------------------------------------------


def wave(rows: int, columns: int = 6, seed: int = 0) -> np.ndarray:
    """Return noisy sine waves (rows, columns) in the scale of a model's input."""
    draws = np.random.default_rng(seed)
    phase = np.arange(rows)[:, None] * (0.1 + 0.02 * np.arange(columns))
    return (0.6 * np.sin(phase) + 0.1 * draws.normal(size=(rows, columns))).astype(np.float32)


def quick(**changes: object) -> SGmVRNN:
    return SGmVRNN(**{"steps": 60, "batch_size": 32, "smoothing": 1} | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> SGmVRNN:
    return quick(steps=300).fit([wave(3000)], Progress())


def test_a_row_out_of_place_scores_highest_and_its_column_brings_the_most(fitted: SGmVRNN) -> None:
    series = wave(500, seed=1)
    series[300, 4] = 2.5
    scored = fitted.score(series)
    assert int(scored.score.argmax()) == 300
    assert int(scored.shares[300].argmax()) == 4
    assert scored.expected is not None
    assert scored.spread is not None
    assert abs(scored.expected[300, 4]) < 1.0
    assert (scored.spread >= math.exp(fitted.log_sigma_floor) * 0.999).all()


def test_shares_are_the_score_counted_from_its_least(fitted: SGmVRNN) -> None:
    scored = fitted.score(wave(200, seed=2))
    least = 6 * (LOG_2PI / 2 + fitted.log_sigma_floor)
    np.testing.assert_allclose(scored.shares.sum(axis=1) + least, scored.score, atol=1e-4)


def test_streams_score_as_windows_do_once_they_remember(fitted: SGmVRNN) -> None:
    series = wave(600, seed=3)
    windows = fitted.score(series)
    streams = replace_scoring(fitted, "streaming").score(series)
    # both start with the same state
    np.testing.assert_allclose(streams.score[:20], windows.score[:20], rtol=1e-4, atol=1e-4)
    assert np.corrcoef(streams.score, windows.score)[0, 1] > 0.99


def replace_scoring(fitted: SGmVRNN, scoring: str, **changes: object) -> SGmVRNN:
    other = quick(steps=fitted.steps, scoring=scoring, **changes)
    vars(other).update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
    return other


@pytest.mark.parametrize("judged", ["before", "after"])
def test_rows_that_come_one_by_one_score_as_in_a_block(fitted: SGmVRNN, judged: str) -> None:
    series = np.stack([wave(40, seed=4), wave(40, seed=5)], axis=1)
    series[7, 0, 3] = series[8, 1] = np.nan
    fitted = replace_scoring(fitted, "streaming", judged=judged)
    stream = fitted.stream(series=2)
    single = np.array([stream.step(row) for row in series])
    together = fitted.stream(series=2).run(series).nll.sum(-1).numpy()
    np.testing.assert_allclose(single, together, rtol=1e-4, atol=1e-5)


def test_series_streamed_side_by_side_score_as_alone(fitted: SGmVRNN) -> None:
    streaming = replace_scoring(fitted, "streaming")
    series = [wave(rows, seed=rows) for rows in (30, 7, 55, 1)]
    for one, many in zip(series, streaming.score_many(series), strict=True):
        np.testing.assert_allclose(streaming.score(one).score, many.score, rtol=1e-4, atol=1e-5)


def test_a_windowed_score_knows_its_window_and_nothing_else(fitted: SGmVRNN) -> None:
    series = wave(200, seed=6)
    other = series.copy()
    other[:100], other[121:] = 0.9, -0.9
    np.testing.assert_allclose(
        fitted.score(series).score[119:121], fitted.score(other).score[119:121], rtol=1e-4, atol=1e-5
    )


def test_a_missing_value_brings_nothing_and_is_not_invented(fitted: SGmVRNN) -> None:
    series = wave(100, seed=7)
    series[50:60, 2] = np.nan
    series[70] = np.nan
    scored = fitted.score(series)
    assert np.isfinite(scored.score).all()
    assert (scored.shares[50:60, 2] == 0).all()
    assert (scored.shares[70] == 0).all()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    columns=st.integers(1, 12),
    window=st.integers(2, 25),
    rows=st.integers(10, 60),
    fidelity=st.sampled_from(["default", "original"]),
    scoring=st.sampled_from(["windows", "streaming"]),
)
def test_any_number_of_columns_and_any_window(
    columns: int, window: int, rows: int, fidelity: str, scoring: str
) -> None:
    series = wave(rows, columns)
    detector = quick(steps=2, window=window, fidelity=fidelity, scoring=scoring).fit([series, series[:9]], Progress())
    for scored in detector.score_many([series, series[:1]]):
        assert scored.score.shape == scored.shares.shape[:1]
        assert scored.shares.shape[1] == columns
        assert np.isfinite(scored.score).all()
        assert np.isfinite(scored.shares).all()
        assert scored.categories is not None
        np.testing.assert_allclose(scored.categories.sum(axis=1), 1, rtol=1e-4)


# ---- training -------------------------------------------------------------------------------------------------------


def test_the_same_seed_learns_the_same_and_another_seed_something_else() -> None:
    series = [wave(300)]
    first, again, other = (quick(seed=seed).fit(series, Progress()).weights_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_learning_tells_how_far_it_is_and_draws_its_loss() -> None:
    progress = Progress()
    quick().fit([wave(300)], progress)
    assert progress.share == 1.0
    losses = [value for _, value in progress.curves["loss"]]
    assert losses[-1] < losses[0]
    assert [step for step, _ in progress.curves["rows held out"]] == [50, 60]


def test_categories_live() -> None:
    """The series has two regimes, so the model needs more than one category."""
    regimes = np.repeat(np.tile([0.8, -0.8], 20), 60)[:, None] + 0.5 * wave(2400)
    detector = quick(steps=400, seed=0).fit([regimes.astype(np.float32)], Progress())
    categories = detector.score(regimes.astype(np.float32)).categories
    assert categories is not None
    assert np.unique(categories.argmax(axis=1)).size > 1


class Killed(Progress):
    """Progress that raises KeyboardInterrupt after `after` reports, like a process that is killed."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self.left = after

    def tell(self, share: float, doing: str = "") -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        super().tell(share, doing)


def test_learning_goes_on_from_its_checkpoint_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL_S", 0.0)
    series = [wave(400)]
    whole = quick(steps=150).fit(series, Progress())
    with pytest.raises(KeyboardInterrupt):
        quick(steps=150).fit(series, Killed(tmp_path, after=8))
    assert (tmp_path / "checkpoint.npz").is_file()
    watched = Progress(tmp_path)
    resumed = quick(steps=150).fit(series, watched)
    np.testing.assert_array_equal(resumed.weights_, whole.weights_)
    assert min(step for step, _ in watched.curves["loss"]) > 50, "the training started again from step 0"


def test_a_checkpoint_of_other_data_or_settings_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL_S", 0.0)
    quick().fit([wave(300)], Progress(tmp_path))
    path = tmp_path / "checkpoint.npz"
    kept = path.read_bytes()
    for series, detector in (([wave(301)], quick()), ([wave(300)], quick(seed=5))):
        with pytest.raises(DataError, match=r"checkpoint\.npz belongs to other data, settings or versions"):
            detector.fit(series, Progress(tmp_path))
        assert path.read_bytes() == kept
    path.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        quick().fit([wave(300)], Progress(tmp_path))


def test_what_was_learnt_is_found_again_without_learning(tmp_path: Path) -> None:
    first = quick().fit([wave(300)], Progress(tmp_path / "new"))
    again = Progress(tmp_path / "new")
    np.testing.assert_array_equal(quick().fit([wave(300)], again).weights_, first.weights_)
    assert not again.curves


def test_training_can_be_cancelled() -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        quick().fit([wave(300)], progress)


def test_a_loss_that_is_no_number_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the loss is no number"):
        quick(fidelity="original", learning_rate=0.1, steps=3000).fit([1e4 * wave(300)], Progress())
