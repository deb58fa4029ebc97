"""Nearest neighbours of patches: heat maps, scores and the bank."""

import numpy as np
import pytest

from core.data.images.image_set import Pixels
from core.detectors.images.patch_knn import PatchNeighbours
from core.progress import Progress


def _draw_stripes(count: int, seed: int) -> Pixels:
    """Return colour images of 32 × 32 with slanted stripes of random phase and a little noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    phase = rng.uniform(0, 6, (count, 1, 1))
    grey = 120 + 60 * np.sin((rows + columns) / 2 + phase) + rng.normal(0, 5, (count, 32, 32))
    return np.repeat(grey[..., None], 3, axis=3).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def detector() -> PatchNeighbours:
    return PatchNeighbours(width=8, epochs=2, patches=1500).fit(_draw_stripes(60, seed=0), Progress())


def test_the_heat_map_of_patches_peaks_at_a_planted_defect(detector: PatchNeighbours) -> None:
    images = _draw_stripes(6, seed=1)
    images[:, 18:25, 5:12] = (250, 60, 60)
    heat = detector.heat_map(images)
    assert heat.shape == (6, 32, 32)
    assert heat.min() >= 0
    places = [np.unravel_index(int(one.argmax()), one.shape) for one in heat]
    assert sum(16 <= row <= 26 and 3 <= column <= 13 for row, column in places) == 6


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_defects_raise_the_score(detector: PatchNeighbours, pooling: str) -> None:
    detector.pooling = pooling  # type: ignore[assignment]
    images = _draw_stripes(20, seed=2)
    normal = detector.score(images)
    images[:, 10:20, 10:20] = images[:, 10:20, 10:20][:, :, ::-1]
    assert (detector.score(images) > normal).mean() > 0.9


def test_patches_of_the_training_images_are_in_the_bank_when_it_holds_all() -> None:
    images = _draw_stripes(12, seed=3)
    detector = PatchNeighbours(width=4, epochs=1, patches=12 * 64).fit(images, Progress())
    assert detector.bank_.shape == (12 * 64, 4 * (1 + 2))
    assert detector.score(images).max() < 0.1 < detector.score(_draw_stripes(12, seed=4)).min()


def test_the_score_of_patches_does_not_depend_on_other_images(detector: PatchNeighbours) -> None:
    images = _draw_stripes(9, seed=5)
    np.testing.assert_allclose(detector.score(images[4:5]), detector.score(images)[4:5], rtol=0.01)
    assert detector.embed(images).shape == (9, 8 * 8 * 24)
