"""Choices for the screen: fitting classes, thresholds, galleries; panels with heat maps; figures of comparisons."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.data.images.image_set import ImageSet
from core.data.images.panels import join_panels, overlay_heat
from core.evaluation.threshold_views import list_thresholds
from core.figures.class_counts import draw_class_counts
from core.progress import Progress
from core.tasks.images.comparison_figures import draw_means
from core.tasks.images.comparison_result import ImageComparison, build_cells
from core.tasks.images.judgement import judge_detector
from core.tasks.images.model_result import ImageFacts, ImageModelResult
from core.tasks.images.spec import LINE_TO_BEAT, ImagesCompareSpec, ImagesFitSpec
from core.tasks.images.views import (
    FALSE_ALARMS,
    LEAST,
    MISSED,
    MOST,
    choose_start,
    list_fitting_classes,
    select_gallery,
)
from tests.support.toy_images import ToyImages, make_images, registered_images


@pytest.fixture(scope="module")
def model_result() -> ImageModelResult:
    """Judgement of a toy detector."""
    images = make_images()
    with registered_images():
        return judge_detector(ImagesFitSpec(detector=ToyImages()).fill_defaults(images), images, Progress())[1]


# ---- choices --------------------------------------------------------------------------------------------------------


def test_class_of_test_part_only_cannot_be_fitted() -> None:
    images = make_images(per_class=10, classes=("good", "crack"))
    in_test = replace(images, is_test=images.labels == 1)
    assert list_fitting_classes(images) == ["good", "crack"]
    assert list_fitting_classes(in_test) == ["good"]
    assert list_fitting_classes(make_images(per_class=2)) == [], "a fifth of two images leaves one"
    assert list_fitting_classes(ImageSet(images.pixels, images.image_names)) == []


def with_scores(model_result: ImageModelResult, scores: list[float], threshold: float | None) -> ImageModelResult:
    """Return a judgement whose test part has these scores, alternating normal and abnormal."""
    rows = pd.DataFrame({"score": scores, "part": "test"})
    return replace(model_result, rows=rows.assign(is_abnormal=rows.index % 2 == 1), threshold=threshold)


def test_threshold_without_calibration_begins_at_accepted_false_alarms(model_result: ImageModelResult) -> None:
    scores = [float(value) for value in range(200)]  # even scores are normal
    result = with_scores(model_result, scores, None)
    start = choose_start(result, list_thresholds(scores))
    share = (result.normal_test_rows["score"] > start).mean()
    assert share == pytest.approx(model_result.spec.false_alarm_rate, abs=0.02)


def test_galleries_show_extremes_and_mistakes(model_result: ImageModelResult) -> None:
    rows = model_result.test_rows
    most, least = select_gallery(model_result, MOST, 5), select_gallery(model_result, LEAST, 5)
    assert most["score"].min() >= np.sort(rows["score"])[-5]
    assert least["score"].is_monotonic_increasing
    false, missed = select_gallery(model_result, FALSE_ALARMS, 3), select_gallery(model_result, MISSED, 3)
    assert not false["is_abnormal"].any()
    assert false["score"].max() == rows.loc[~rows["is_abnormal"], "score"].max()
    assert missed["is_abnormal"].all()
    assert missed["score"].min() == rows.loc[rows["is_abnormal"], "score"].min()


# ---- panels and figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_panels_stand_side_by_side(channels: int) -> None:
    pixels = make_images(per_class=2, channels=channels).pixels
    expected = np.full(pixels.shape, 300.0)  # above the range of a picture
    heat = np.zeros(pixels.shape[:3])
    heat[0, 3, 4] = 2.0
    pictures = join_panels(pixels, expected, heat)
    assert pictures.shape == (6, 8, 8 * 3 + 2, 3)
    assert (pictures[:, :, :8] == pixels).all()
    assert (pictures[:, :, 9:17] == 255).all()
    assert pictures[0, 3, 18 + 4].tolist() == [213, 94, 0]
    assert join_panels(pixels, None, None).shape == (6, 8, 8, 3)


def test_images_without_any_heat_stay_grey() -> None:
    pixels = make_images(per_class=1).pixels
    shown = overlay_heat(pixels, np.zeros(pixels.shape[:3]))
    assert (shown == shown[..., :1]).all()


def test_bars_of_classes_tell_test_images_apart() -> None:
    figure = draw_class_counts({"good": (10, 3), "crack": (0, 4)})
    assert [list(bar.x) for bar in figure.data] == [[10, 0], [3, 4]]
    assert len(draw_class_counts({"good": (10, 0)}).data) == 1


def test_means_are_drawn_with_spread_line_and_published_rows() -> None:
    areas = {LINE_TO_BEAT: (0.9, 0.9), "toy-images": (0.8, 0.84)}
    cells = build_cells(
        [
            {"detector": name, "normal_class": "0", "seed": seed, "auc_roc": area, "reason": "", "training_images": 9}
            for name, pair in areas.items()
            for seed, area in enumerate(pair)
        ]
    )
    published = pd.DataFrame({"model": ["Deep SVDD"], "normal_class": ["0"], "auc_roc": [0.98], "sd": [0.01]})
    facts = ImageFacts.from_images(make_images())
    comparison = ImageComparison(ImagesCompareSpec(), facts, cells, published)
    bars = draw_means(comparison, str.upper)
    assert list(bars.data[0].y) == ["KNN-PIXELS", "TOY-IMAGES"]
    assert bars.data[0].error_x.array[1] == pytest.approx(np.std((0.8, 0.84), ddof=1))
    assert list(bars.data[1].x) == [0.98]
    assert bars.layout.shapes[0].x0 == pytest.approx(0.9)
    assert bars.layout.xaxis.range[0] < 0.8
