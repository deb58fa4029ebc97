"""Transformations are exact, and a network that names them knows the images that it was trained on."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from core.data.images.image_set import Pixels
from core.detectors.images.image_transformations import (
    CENTRE,
    draw_answers,
    fit_square,
    list_questions,
    list_scoring_answers,
    transform_images,
)
from core.detectors.images.transformations import TransformationPrediction
from core.progress import Progress


def _load_digit(digit: int) -> Pixels:
    digits = load_digits()
    return (digits.images[digits.target == digit] * 15)[..., None].astype(np.uint8)


def _draw_images(side: int = 8) -> torch.Tensor:
    return torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(0))


def _repeat_answers(*answers: int) -> torch.Tensor:
    return torch.tensor([answers] * 3)


@pytest.mark.parametrize("turn", range(4))
def test_turns_are_those_of_numpy_and_turning_on_gives_the_image_back(turn: int) -> None:
    images = _draw_images()
    turned = transform_images(images, _repeat_answers(turn, CENTRE, CENTRE, 0))
    np.testing.assert_array_equal(turned.numpy(), np.rot90(images.numpy(), turn, axes=(2, 3)))
    back = transform_images(turned, _repeat_answers((4 - turn) % 4, CENTRE, CENTRE, 0))
    np.testing.assert_array_equal(back.numpy(), images.numpy())


def test_mirroring_twice_gives_the_image_back() -> None:
    images = _draw_images()
    mirrored = transform_images(images, _repeat_answers(0, CENTRE, CENTRE, 1))
    np.testing.assert_array_equal(mirrored.numpy(), images.numpy()[..., ::-1])
    np.testing.assert_array_equal(transform_images(mirrored, _repeat_answers(0, CENTRE, CENTRE, 1)), images)


def test_shifts_move_by_a_quarter_and_reflect_at_the_edge() -> None:
    images = _draw_images()
    moved = transform_images(images, _repeat_answers(0, CENTRE + 1, CENTRE - 1, 0)).numpy()
    np.testing.assert_array_equal(moved[:, :, 2:, :6], images.numpy()[:, :, :6, 2:])
    np.testing.assert_array_equal(moved[:, :, :2, :6], images.numpy()[:, :, 2:0:-1, 2:])


def test_each_image_of_a_batch_has_its_own_transformation() -> None:
    images = _draw_images()
    answers = torch.tensor([[0, 1, 1, 0], [1, 2, 0, 1], [3, 0, 2, 0]])
    together = transform_images(images, answers)
    for number in range(3):
        alone = transform_images(images[number : number + 1], answers[number : number + 1])
        np.testing.assert_array_equal(together[number], alone[0])


def test_the_score_uses_each_answer_of_each_question_equally_often() -> None:
    for name in ("rotations", "rotations-shifts", "rotations-shifts-mirrors"):
        answers = list_scoring_answers(name).numpy()
        for number, count in enumerate(list_questions(name).values()):
            assert len(set(np.bincount(answers[:, number], minlength=count))) == 1
        assert len(np.unique(answers, axis=0)) == len(answers)


def test_images_stay_in_place_unless_shifts_are_asked_and_mirrors_follow_the_setting() -> None:
    rng = torch.Generator().manual_seed(0)
    answers = draw_answers("rotations", 50, mirror=False, rng=rng)
    assert bool((answers[:, 1:3] == CENTRE).all())
    assert not answers[:, 3].any()
    assert torch.bincount(answers[:, 0]).tolist() == [50, 50, 50, 50]
    assert 0 < float(draw_answers("rotations", 50, mirror=True, rng=rng)[:, 3].float().mean()) < 1


def test_squares_keep_the_mean_and_small_squares_stay() -> None:
    image = torch.rand(1, 1, 40, 80, generator=torch.Generator().manual_seed(0))
    square = fit_square(image, 20)
    assert square.shape == (1, 1, 20, 20)
    assert float(square.mean()) == pytest.approx(float(image.mean()), abs=1e-5)
    assert fit_square(image[..., :40], 64).shape == (1, 1, 40, 40)


@pytest.fixture(scope="module")
def detector() -> TransformationPrediction:
    settings = {"transformations": "rotations-shifts-mirrors", "width": 8, "epochs": 6}
    return TransformationPrediction(**settings).fit(_load_digit(4), Progress())


def test_right_names_are_likelier_for_known_images(detector: TransformationPrediction) -> None:
    unknown = np.concatenate([_load_digit(digit)[:40] for digit in (0, 1, 3, 8)])
    scores = detector.score(np.concatenate([_load_digit(4), unknown]))
    is_unknown = np.repeat([0, 1], [len(_load_digit(4)), len(unknown)])
    assert roc_auc_score(is_unknown, scores) > 0.8
    assert detector.history_["rotation"][-1][1] < 0.9 * np.log(4)  # log 4 is that of a guess


def test_the_surprise_does_not_depend_on_other_images_and_vectors_have_the_width(
    detector: TransformationPrediction,
) -> None:
    images = _load_digit(4)[:5]
    np.testing.assert_allclose(detector.score(images[2:3]), detector.score(images)[2:3], rtol=1e-4)
    assert detector.embed(images).shape == (5, 32)


def test_fixed_statistics_of_the_normalisations_differ_from_the_start(detector: TransformationPrediction) -> None:
    assert len(detector.norms_) == 2 * sum(detector.net.list_norm_sizes().values())
    assert not set(np.unique(detector.norms_)) <= {0.0, 1.0}


def test_the_seed_reproduces_the_surprise_and_few_odd_images_are_accepted() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 11, 9, 3)).astype(np.uint8)
    small = TransformationPrediction(width=4, epochs=1)
    first, second = (dataclasses.replace(small).fit(images, Progress()).score(images) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()
