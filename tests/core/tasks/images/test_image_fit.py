"""Fit of a detector of images: division, threshold, diagnosis, saved model, scores of other images."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor
from core.data.images.image_set import ImageSet
from core.detectors.images.image_model import encode_images
from core.errors import DataError, NotFoundError, OptionError
from core.evaluation.one_class import measure_areas
from core.progress import CancelledError, Progress
from core.runs.card import build_run_card
from core.runs.stored_runs import load_run, load_task_result
from core.tasks.images import figures
from core.tasks.images.diagnosis import AUC_CURVE, MAX_POINTS, PRECISION_CURVE, ValidationMonitor, draw_sample
from core.tasks.images.division import MAX_HELD_OUT_SHARE, choose_validation, count_intruders, divide_images
from core.tasks.images.fit import fit_detector, load_fitted_model, load_model_result
from core.tasks.images.judgement import change_weight, explain_images, judge_detector
from core.tasks.images.model_result import HELD_OUT, TEST, UNLABELLED, ImageModelResult
from core.tasks.images.score import apply_model, load_scores
from core.tasks.images.spec import ImagesFitSpec, ImagesScoreSpec, choose_normal_class, list_detectors
from core.workspace import Workspace
from tests.support.toy_images import CollapsedImages, SupervisedImages, ToyImages, make_images, registered_images

BOB = Actor("bob", "tests")


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    """The toy detectors, registered during the test."""
    with registered_images():
        yield


def fit(workspace: Workspace, images: ImageSet, **options: Any) -> tuple[ImageModelResult, str]:
    """Fit the toy detector; return the result and the id of its run."""
    spec = ImagesFitSpec(workspace.image_sets.save(images), **{"detector": ToyImages(), **options})
    result, run = fit_detector(spec, workspace=workspace, actor=BOB)
    return result, run.id


def judge(images: ImageSet, **options: Any) -> ImageModelResult:
    """Judge the toy detector without a run."""
    spec = ImagesFitSpec(**{"detector": ToyImages(), **options}).fill_defaults(images)
    return judge_detector(spec, images, Progress())[1]


# ---- division -------------------------------------------------------------------------------------------------------


def test_normal_class_is_named_normal_or_first() -> None:
    images = make_images(classes=("crack", "good", "hole"))
    assert choose_normal_class(images) == "good"
    assert choose_normal_class(make_images()) == "0"
    with pytest.raises(OptionError, match="crack, good, hole"):
        choose_normal_class(images, "fine")
    with pytest.raises(DataError, match="no classes"):
        choose_normal_class(ImageSet(images.pixels, images.image_names))


@given(st.floats(0, 0.4), st.integers(0, 60), st.integers(0, 3), st.sampled_from([0.01, 0.05, 0.2]))
def test_contamination_changes_training_only(share: float, abnormal: int, seed: int, rate: float) -> None:
    images = make_images()
    clean = ImagesFitSpec(detector=ToyImages(seed=seed), false_alarm_rate=rate).fill_defaults(images)
    mixed = replace(clean, contamination=share, abnormal_count=abnormal)
    plain, other = divide_images(clean, images), divide_images(mixed, images)
    for part in ("held_out", "test", "is_abnormal"):
        assert np.array_equal(getattr(plain, part), getattr(other, part))
    assert set(plain.training) <= set(other.training)
    intruders = count_intruders(other, images, "0")
    assert intruders == len(other.training) - len(plain.training)
    assert intruders == round(share / (1 - share) * len(plain.training))
    parts = [other.training, other.held_out, other.abnormal, other.test]
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts)), "no image is in two parts"


def test_held_out_share_suits_the_false_alarm_rate() -> None:
    images = make_images(per_class=250)  # 200 normal training images
    spec = ImagesFitSpec(detector=ToyImages()).fill_defaults(images)
    counts = {
        rate: len(divide_images(replace(spec, false_alarm_rate=rate), images).held_out) for rate in (0.1, 0.04, 0.001)
    }
    assert counts == {0.1: 20, 0.04: 24, 0.001: round(MAX_HELD_OUT_SHARE * 200)}
    assert len(divide_images(replace(spec, held_out=0.02, false_alarm_rate=0.001), images).held_out) == 4


def test_validation_part_is_neither_fitted_on_nor_judged_by() -> None:
    images = make_images()
    spec = ImagesFitSpec(detector=ToyImages(), contamination=0.2, abnormal_count=5).fill_defaults(images)
    split = divide_images(spec, images)
    part = choose_validation(split, images, "0", 0)
    assert part is not None
    used = np.concatenate([split.training, split.abnormal, split.test])
    assert not set(part.positions) & set(used)
    assert np.array_equal(part.is_abnormal, images.labels[part.positions] != 0)
    assert choose_validation(divide_images(replace(spec, held_out=0.0), images), images, "0", 0) is None


# ---- figures of a fit -----------------------------------------------------------------------------------------------


def test_fit_result_agrees_with_its_rows(workspace: Workspace) -> None:
    result, run_id = fit(workspace, make_images(100))
    metrics = result.metrics()
    test = result.test_rows
    assert metrics["auc_roc"] == measure_areas(test["is_abnormal"], test["score"])[0] > 0.9
    assert set(result.rows["part"]) == {HELD_OUT, TEST}
    assert result.rows["score"].is_monotonic_decreasing
    assert result.rows.loc[result.rows["part"] == HELD_OUT, "p_value"].isna().all()
    assert result.threshold is not None
    assert result.promised_rate == 0.05
    normal = test[~test["is_abnormal"]]
    assert metrics["alarm_rate"] == (normal["score"] > result.threshold).mean()
    assert metrics["specificity"] == pytest.approx(1 - metrics["alarm_rate"])
    low, high = result.alarm_band
    assert low <= metrics["alarm_rate"] <= high < 1
    assert (test["p_value"] <= 0.05).equals(test["anomaly"]), "the threshold and the p-values tell the same"
    assert {AUC_CURVE, PRECISION_CURVE, "loss"} <= set(result.history["curve"])
    assert result.history.groupby("curve")["step"].apply(list).loc[AUC_CURVE] == [1, 2, 3]
    assert metrics["line_auc_roc"] > 0.9
    assert load_model_result(run_id, workspace).rows.equals(result.rows)
    assert isinstance(load_task_result(run_id, workspace), ImageModelResult)
    card = build_run_card(run_id, workspace)
    assert card.threshold is not None
    assert card.threshold.measured == metrics["alarm_rate"]
    assert "images fit" in card.repeat.command


def test_fit_seeds_differ_and_repeat() -> None:
    images = make_images()
    scores = [judge(images, seed=seed).test_rows.set_index("position")["score"].sort_index() for seed in (0, 1, 0)]
    assert scores[0].equals(scores[2])
    assert not scores[0].equals(scores[1])


def test_seed_of_detector_is_used_without_seed_of_spec() -> None:
    images = make_images()
    spec = ImagesFitSpec(detector=ToyImages(seed=7, seconds=3.0)).fill_defaults(images)
    assert (spec.seed, spec.seconds) == (7, 3.0)
    spec = ImagesFitSpec(detector=ToyImages(seed=7), seed=2, seconds=9.0).fill_defaults(images)
    assert (spec.seed, spec.seconds, spec.to_params()["seed"]) == (2, 9.0, 2)
    assert (spec.detector.seed, spec.detector.seconds) == (2, 9.0)  # type: ignore[attr-defined]


def test_collapsed_model_is_told(workspace: Workspace) -> None:
    result, _ = fit(workspace, make_images(), detector=CollapsedImages())
    assert result.collapse == "latent"
    assert result.metrics()["collapsed"] == 1
    notes = " ".join(map(str, result.notes))
    assert "The model has collapsed" in notes
    assert "below that of knn-pixels" in notes


def test_unlabelled_images_are_scored_and_area_is_unknown(workspace: Workspace) -> None:
    images = make_images(60, classes=("normal", "other"))
    labels = np.where(images.labels == 0, 0, -1)
    images = ImageSet(images.pixels, images.image_names, ("normal",), labels)
    result, _ = fit(workspace, images)
    assert (result.rows["part"] == UNLABELLED).sum() == 60
    assert "auc_roc" not in result.metrics()
    assert "sensitivity" not in result.metrics()
    assert "AUC and sensitivity are unknown" in " ".join(map(str, result.notes))
    unlabelled = result.rank_images(60, UNLABELLED)
    assert unlabelled["anomaly"].mean() > 0.5
    assert figures.draw_score_histogram(result).data
    assert result.roc.empty


def test_without_held_out_images_there_is_no_threshold() -> None:
    result = judge(make_images(), held_out=0.0)
    assert result.threshold is None
    assert "threshold" not in result.metrics()
    assert not result.rows["anomaly"].any()
    assert result.rows["p_value"].isna().all()
    assert "no threshold" in " ".join(map(str, result.notes))


def test_too_few_held_out_images_are_told() -> None:
    result = judge(make_images(), false_alarm_rate=0.001)
    assert result.promised_rate == pytest.approx(1 / (result.counts.held_out + 1))
    assert "too few for a false-alarm rate" in " ".join(map(str, result.notes))


def test_supervised_detector_needs_labelled_abnormal_images() -> None:
    with pytest.raises(OptionError, match="--abnormal-count"):
        ImagesFitSpec(detector=SupervisedImages()).check()
    result = judge(make_images(), detector=SupervisedImages(), abnormal_count=10)
    assert result.counts.abnormal == 10
    assert "learnt from abnormal images" in " ".join(map(str, result.notes))
    result = judge(make_images(), detector=SupervisedImages(), abnormal_count=1000)
    assert "not 1,000" in " ".join(map(str, result.notes))


def test_repeated_image_names_become_unique() -> None:
    images = make_images(20)
    result = judge(replace(images, image_names=("a",) * len(images)))
    assert result.rows["image"].is_unique
    alarms = result.list_alarms()
    assert list(alarms) == ["entity", "score"]
    assert alarms["entity"].str.startswith("a #").all()


def test_fit_refuses_missing_images(workspace: Workspace) -> None:
    with pytest.raises(OptionError, match="--data"):
        fit_detector(ImagesFitSpec(detector=ToyImages()), workspace=workspace, actor=BOB)
    with pytest.raises(NotFoundError):
        fit_detector(ImagesFitSpec("0" * 64, detector=ToyImages()), workspace=workspace, actor=BOB)


def test_fit_cancels(workspace: Workspace) -> None:
    progress = Progress()
    progress.cancel()
    spec = ImagesFitSpec(workspace.image_sets.save(make_images()), detector=ToyImages())
    with pytest.raises(CancelledError):
        fit_detector(spec, workspace=workspace, actor=BOB, progress=progress)
    assert [event.status for event in workspace.events.read_events()] == ["interrupted"]


# ---- diagnosis ------------------------------------------------------------------------------------------------------


def test_diagnosis_has_points_and_moments() -> None:
    images = make_images(100)
    spec = ImagesFitSpec(detector=ToyImages()).fill_defaults(images)
    model, result = judge_detector(spec, images, Progress(), with_diagnosis=True)
    points, moments = result.points, result.moments
    assert len(points) == len(result.test_rows)
    assert points[["pca_1", "pca_2", "tsne_1", "tsne_2"]].notna().all(axis=None)
    assert (points["class"] == np.asarray(images.classes)[images.labels[points["position"]]]).all()
    embeddings = model.detector.embed(images.pixels[points["position"]])
    normal = embeddings[~points["is_abnormal"]]
    np.testing.assert_allclose(moments["mean_normal"], normal.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(moments["sd_normal"], normal.std(axis=0), rtol=1e-4)
    assert judge_detector(spec, images, Progress(), with_diagnosis=True)[1].points.equals(points), "seeded"


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 60))
def test_sample_holds_both_kinds(normal: int, abnormal: int, count: int) -> None:
    rows = pd.DataFrame(
        {"is_abnormal": np.repeat([False, True], [normal, abnormal]), "position": range(normal + abnormal)}
    )
    sample = draw_sample(rows, count, seed=0)
    assert len(sample) == min(count, normal + abnormal) <= MAX_POINTS
    assert sample["position"].is_unique
    if count >= 2 and normal and abnormal:
        assert sample["is_abnormal"].nunique() == 2


def test_monitor_keeps_values_over_a_kill(tmp_path: Any) -> None:
    images = make_images()
    spec = ImagesFitSpec(detector=ToyImages()).fill_defaults(images)
    part = choose_validation(divide_images(spec, images), images, "0", 0)
    model = ToyImages().fit(images.pixels[images.labels == 0], Progress())
    first = ValidationMonitor.build(part, images, Progress(tmp_path))
    assert first is not None
    first(1, model.score)
    again = ValidationMonitor.build(part, images, Progress(tmp_path))
    assert again is not None
    assert again.points == first.points
    again(2, model.score)
    assert list(again.points[AUC_CURVE]) == [1, 2]


def test_figures_draw_a_model() -> None:
    images = make_images(60)
    spec = ImagesFitSpec(detector=ToyImages()).fill_defaults(images)
    _, result = judge_detector(spec, images, Progress(), with_diagnosis=True)
    french = figures.draw_roc(
        result, None, {"area {value}": "aire {value}"}.get, lambda area: f"{area:.2f}".replace(".", ",")
    )
    assert f"aire {result.measurements['auc_roc']:.2f}".replace(".", ",") in [line.name for line in french.data]
    roc = figures.draw_roc(result, threshold=float(result.rows["score"].median()))
    assert roc.data[0].name == "chance"
    assert len(figures.draw_points(result, "tsne").data) == 3
    assert len(figures.draw_moments(result, "sd").data) == 2
    groups = figures.list_curve_groups(result.history)
    assert groups == {"losses": ["loss"], "AUC and precision": [AUC_CURVE, PRECISION_CURVE]}
    assert len(figures.draw_history(result.history, groups["AUC and precision"]).data) == 2
    histogram = figures.draw_score_histogram(result)
    assert [sum(trace.y) for trace in histogram.data] == pytest.approx([1, 1])


# ---- saved model ----------------------------------------------------------------------------------------------------


def test_saved_model_scores_and_explains(workspace: Workspace) -> None:
    images = make_images(60)
    result, run_id = fit(workspace, images)
    model = load_fitted_model(run_id, workspace)
    rows = result.test_rows
    np.testing.assert_allclose(model.score(images.pixels, rows["position"].to_numpy()), rows["score"])
    table = model.predict(encode_images(images.pixels[rows["position"].head(5)]))
    np.testing.assert_allclose(table["score"], rows["score"].head(5), rtol=1e-6)
    assert table["anomaly"].tolist() == rows["anomaly"].head(5).tolist()
    explanation = explain_images(model, images.pixels[:3])
    assert explanation.reconstructions is not None
    assert explanation.heat_maps is not None
    assert explanation.reconstructions.shape == images.pixels[:3].shape
    assert explanation.heat_maps.shape == (3, 8, 8)


def test_weight_changes_without_training(workspace: Workspace) -> None:
    images = make_images(60)
    result, run_id = fit(workspace, images)
    model = load_fitted_model(run_id, workspace)
    same_model, same = change_weight(model, result, images, 0.0)
    assert same.rows.drop(columns="part").equals(result.rows.drop(columns="part")[same.rows.columns.drop("part")])
    assert same.threshold == result.threshold
    other_model, other = change_weight(model, result, images, 1.0)
    assert other.threshold == other_model.threshold_ != result.threshold
    assert other.measurements["auc_roc"] < result.measurements["auc_roc"]
    assert model.threshold_ == same_model.threshold_ == result.threshold, "the first model is unchanged"
    model.detector = list_detectors()["knn-pixels"]()
    with pytest.raises(OptionError, match="one weight"):
        change_weight(model, result, images, 0.5)


def test_model_scores_images_of_another_size(workspace: Workspace) -> None:
    _, run_id = fit(workspace, make_images(60))
    others = make_images(20, size=12, channels=3, seed=4)
    spec = ImagesScoreSpec(workspace.image_sets.save(others), run_id)
    scores, run = apply_model(spec, workspace=workspace, actor=BOB)
    assert len(scores.rows) == 60
    assert scores.rows["score"].is_monotonic_decreasing
    notes = " ".join(map(str, scores.notes))
    assert "12 × 12 pixels were scaled to 8 × 8" in notes
    assert "grey" in notes
    assert scores.rows["p_value"].between(0, 1).all()
    loaded = load_scores(run.id, workspace)
    assert loaded.rows.equals(scores.rows)
    assert loaded.spec.model == run_id
    assert load_run(run.id, workspace).record.params["model_run"] == run_id
    assert "images score" in build_run_card(run.id, workspace).repeat.command


def test_scores_of_own_images_are_told(workspace: Workspace) -> None:
    images = make_images(60)
    result, run_id = fit(workspace, images)
    spec = ImagesScoreSpec(workspace.image_sets.save(images), run_id)
    scores, _ = apply_model(spec, workspace=workspace, actor=BOB)
    assert "trained on images of this set" in " ".join(map(str, scores.notes))
    merged = scores.rows.merge(result.test_rows, on="position")
    np.testing.assert_allclose(merged["score_x"], merged["score_y"])
    with pytest.raises(NotFoundError):
        apply_model(replace(spec, model="f" * 32), workspace=workspace, actor=BOB)


def test_run_of_model_needs_no_images_to_be_shown(workspace: Workspace) -> None:
    _, run_id = fit(workspace, make_images())
    shutil.rmtree(workspace.image_sets.folder)
    assert build_run_card(run_id, workspace).about.task == "images"
