"""Nearest neighbours of edges: what counts, what does not, and where a defect is."""

import numpy as np

from core.data.images.image_set import Pixels
from core.detectors.images.gradient_features import compute_direction_maps
from core.detectors.images.gradient_knn import GradientNeighbours
from core.progress import Progress


def _draw_bars(count: int, *, is_upright: bool, seed: int = 0) -> Pixels:
    """Return grey images of 16 × 16 with one bright bar each, at random places."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 20, (count, 16, 16, 1)).astype(np.uint8)
    for image, start in zip(images, rng.integers(3, 10, count), strict=True):
        bar = image[:, start : start + 3] if is_upright else image[start : start + 3]
        bar += 150
    return images


def test_unknown_directions_are_more_anomalous_than_unseen_places() -> None:
    detector = GradientNeighbours().fit(_draw_bars(40, is_upright=True), Progress())
    normal, abnormal = (detector.score(_draw_bars(20, is_upright=upright, seed=1)) for upright in (True, False))
    assert normal.max() < abnormal.min()


def test_light_on_dark_equals_dark_on_light_and_contrast_does_not_count() -> None:
    images = _draw_bars(5, is_upright=True)
    maps = compute_direction_maps(images, directions=4, cell=2, side=32)
    np.testing.assert_allclose(compute_direction_maps(255 - images, 4, 2, 32), maps, atol=1e-5)
    np.testing.assert_allclose(
        compute_direction_maps(images // 2 * 2, 4, 2, 32), compute_direction_maps(images // 2, 4, 2, 32), atol=1e-5
    )
    np.testing.assert_allclose(np.square(maps).sum(axis=(1, 2, 3)), 1, rtol=1e-5)


def test_a_channel_of_colour_counts_like_grey() -> None:
    grey = _draw_bars(5, is_upright=True)
    colour = np.full((5, 16, 16, 3), 40, np.uint8)
    colour[..., 1] = grey[..., 0]
    np.testing.assert_allclose(
        compute_direction_maps(colour, 4, 2, 32), compute_direction_maps(grey, 4, 2, 32), atol=1e-5
    )


def test_the_heat_map_of_edges_peaks_at_a_planted_mark() -> None:
    images = _draw_bars(40, is_upright=True)
    detector = GradientNeighbours().fit(images, Progress())
    marked = images[:1].copy()
    marked[0, 11:13, :4] = 250
    row, column = np.unravel_index(int(detector.heat_map(marked)[0].argmax()), (16, 16))
    assert 9 <= row <= 14
    assert column <= 6


def test_an_even_image_has_a_finite_score() -> None:
    detector = GradientNeighbours().fit(_draw_bars(10, is_upright=True), Progress())
    even = np.full((1, 16, 16, 1), 77, np.uint8)
    assert np.isfinite(detector.score(even)).all()
    assert not detector.embed(even).any()


def test_edges_of_odd_and_large_sizes_are_accepted() -> None:
    rng = np.random.default_rng(0)
    for shape in ((6, 9, 13, 1), (4, 8, 8, 3), (3, 70, 45, 3)):
        images = rng.integers(0, 256, shape).astype(np.uint8)
        detector = GradientNeighbours().fit(images, Progress())
        assert detector.score(images).shape == shape[:1]
        assert detector.heat_map(images).shape == shape[:3]
