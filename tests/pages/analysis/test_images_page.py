"""Page of images in Streamlit's test harness: sources, comparison, one model, pictures to inspect, verdicts."""

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.images.image_set import ImageSet
from core.evaluation.threshold_views import list_thresholds
from core.messages import Message
from core.progress import CancelledError, Progress
from core.tasks.images.comparison import compare
from core.tasks.images.comparison_figures import average_published
from core.tasks.images.comparison_result import ImageComparison
from core.tasks.images.fit import fit_detector
from core.tasks.images.model_result import ImageModelResult
from core.tasks.images.score import apply_model
from core.tasks.images.spec import LINE_TO_BEAT, ImagesCompareSpec, ImagesFitSpec, ImagesScoreSpec
from core.workspace import Workspace
from pages.components.results import images_comparison
from tests.conftest import create_workspace, run_worker, wait_for_job
from tests.support.app_pages import click_button, open_page, read_page_text
from tests.support.toy_images import CollapsedImages, ToyImages, make_images, registered_images

PAGE = "analysis/images.py"
BOB = Actor("bob", "tests")


@pytest.fixture(scope="module", autouse=True)
def toys() -> Iterator[None]:
    """The toy detectors, registered for the page and for the worker."""
    with registered_images():
        yield


@pytest.fixture(scope="module")
def module_workspace(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """Workspace of all tests in this file, so that one test can show what another one computed."""
    return create_workspace(tmp_path_factory.mktemp("place"), empty_store)


@pytest.fixture(scope="module", autouse=True)
def job_worker(module_workspace: Workspace, toys: None) -> Iterator[None]:
    """Worker that executes the jobs of the page."""
    with run_worker(module_workspace):
        yield


@pytest.fixture(autouse=True)
def page_workspace(module_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: module_workspace)
    monkeypatch.setattr("core.lifespan.start_preload", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield module_workspace
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return make_images()


@pytest.fixture(scope="module")
def digest(module_workspace: Workspace, images: ImageSet) -> str:
    return module_workspace.image_sets.save(images)


@pytest.fixture(scope="module")
def fit_run(module_workspace: Workspace, digest: str, toys: None) -> tuple[ImageModelResult, str]:
    """A fitted toy detector, and the id of its run."""
    result, run = fit_detector(ImagesFitSpec(digest, detector=ToyImages()), workspace=module_workspace, actor=BOB)
    return result, run.id


@pytest.fixture(scope="module")
def comparison_run(module_workspace: Workspace, digest: str, toys: None) -> tuple[ImageComparison, str]:
    """A comparison of three detectors, one of which fails for some classes, and the id of its run."""
    spec = ImagesCompareSpec(digest, detectors=("toy-images", "toy-failing"), seeds=2)
    comparison, run = compare(spec, workspace=module_workspace, actor=BOB)
    return comparison, run.id


def open_images(**address: str) -> AppTest:
    """Open the page at an address."""
    app = open_page(PAGE, **address)
    assert not app.exception
    return app


def get_widget(app: AppTest, kind: str, key: str) -> Any:
    return next(element for element in app.get(kind) if str(element.key).startswith(key))


def choose_section(app: AppTest, section: str) -> AppTest:
    app = get_widget(app, "segmented_control", "images-section").set_value(section).run()
    assert not app.exception
    return app


def open_view(app: AppTest, view: str) -> AppTest:
    app.session_state["images-view"] = view
    app.run()
    assert not app.exception
    return app


def read_metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


# ---- images ---------------------------------------------------------------------------------------------------------


def test_page_without_images_offers_files_and_samples() -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "Which model finds abnormal images best?" in read_page_text(app)
    assert "images-ask" not in [button.key for button in app.button]
    app = click_button(app, "images-sample-digits")
    assert not app.exception
    text = read_page_text(app)
    assert "images: 1,797" in text
    assert "classes: 10" in text
    assert len(app.query_params["images"]) > 0
    again = click_button(app, "images-other")
    assert "images" not in again.query_params
    assert "digits · images: 1,797" in read_page_text(again), "it is listed among the recent images"


def test_uploaded_archive_is_stored_and_named(page_workspace: Workspace) -> None:
    images, buffer = make_images(per_class=6), io.BytesIO()
    np.savez(buffer, x=images.pixels, y=images.labels)
    app = open_page(PAGE)
    get_widget(app, "file_uploader", "images-files").set_value(("scans.npz", buffer.getvalue(), ""))
    app = click_button(app.run(), "images-load")
    assert not app.exception
    assert "scans.npz · images: 18" in read_page_text(app)
    [event] = [event for event in page_workspace.events.read_events() if "scans.npz" in str(event)]
    assert event.event == "data_load"


def upload_large_archive(content: bytes, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """Upload an archive that a worker reads."""
    monkeypatch.setattr("core.operations.reading.SHORT_FILES_BYTES", 0)
    app = open_page(PAGE)
    get_widget(app, "file_uploader", "images-files").set_value(("large.npz", content, ""))
    return click_button(app.run(), "images-load")


def test_large_archive_is_read_by_a_worker_through_a_refresh(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, buffer = make_images(per_class=7), io.BytesIO()
    np.savez(buffer, x=images.pixels, y=images.labels)
    app = upload_large_archive(buffer.getvalue(), monkeypatch)
    refreshed = open_page(PAGE, **{name: app.query_params[name] for name in app.query_params})
    for tab in (refreshed, app):
        tab = wait_for_job(tab)
        assert not tab.exception
        assert "large.npz · images: 21" in read_page_text(tab)
    events = [event for event in page_workspace.events.read_events() if "large.npz" in str(event)]
    assert [(event.event, event.application_name) for event in events] == [("data_load", "Vigie page read_images")]


def test_refused_large_archive_is_explained_beside_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    app = wait_for_job(upload_large_archive(b"no archive at all", monkeypatch))
    assert not app.exception
    assert "large.npz" in app.error[0].value
    assert app.file_uploader


def test_refused_upload_is_explained() -> None:
    app = open_page(PAGE)
    get_widget(app, "file_uploader", "images-files").set_value(("scans.npz", b"no archive at all", ""))
    app = click_button(app.run(), "images-load")
    assert not app.exception
    assert "scans.npz" in app.error[0].value


def test_images_without_classes_are_refused_for_a_fit(page_workspace: Workspace, images: ImageSet) -> None:
    bare = page_workspace.image_sets.save(ImageSet(images.pixels, images.image_names))
    app = open_images(images=bare)
    assert "These images have no classes" in read_page_text(app)
    assert "images-ask" not in [button.key for button in app.button]


def test_unknown_images_are_an_error_and_leave_the_address() -> None:
    app = open_images(images="0" * 64)
    assert "are not stored here" in app.error[0].value
    assert "images" not in app.query_params


# ---- compare --------------------------------------------------------------------------------------------------------


def test_page_compares_detectors_and_opens_a_cell(page_workspace: Workspace, digest: str) -> None:
    app = open_images(images=digest)
    get_widget(app, "multiselect", "images-detectors").set_value(["toy-images"]).run()
    get_widget(app, "multiselect", "images-classes").set_value(["0", "1"]).run()
    assert "Detectors: 2. Normal classes: 2. Seeds: 2. Trainings: 8, in at most " in read_page_text(app)
    app = wait_for_job(click_button(app, "images-ask"))
    assert not app.exception
    assert [error.value for error in app.error] == []
    assert app.query_params["section"] == "compare"
    assert app.query_params["images"] == digest
    assert read_metrics(app)["Trainings"] == "8"
    table = app.dataframe[0].value
    assert sorted(table["detector"]) == ["Nearest neighbours (pixels)", "Toy detector of images"]
    assert list(table)[1:] == ["mean", "0", "1"]


class StoppingProgress(Progress):
    """Progress that is cancelled when the third cell begins."""

    def report(self, share: float, stage: str = "") -> None:
        if "3 of" in str(Message.load(stage)):
            self.cancel()
        super().report(share, stage)


def test_page_shows_finished_fits_of_a_cancelled_comparison(page_workspace: Workspace, digest: str) -> None:
    spec = ImagesCompareSpec(digest, detectors=("toy-images",), classes=("1", "2"), contamination=0.1)
    with pytest.raises(CancelledError):
        compare(spec, workspace=page_workspace, actor=BOB, progress=StoppingProgress())
    app = open_images(images=digest)
    assert "of 8 trainings are saved" not in read_page_text(app)
    get_widget(app, "multiselect", "images-detectors").set_value(["toy-images"])
    get_widget(app, "multiselect", "images-classes").set_value(["1", "2"])
    get_widget(app, "select_slider", "images-contamination").set_value(0.1).run()
    assert not app.exception
    assert "2 of 8 trainings are saved. This comparison computes only the others." in read_page_text(app)
    table = app.dataframe[0].value
    assert table["detector"].tolist() == ["Nearest neighbours (pixels)", "Toy detector of images"]
    assert (table["0"] != "–").all()


def test_page_shows_finished_fits_while_a_comparison_runs(page_workspace: Workspace, digest: str) -> None:
    app = open_images(images=digest)
    get_widget(app, "multiselect", "images-detectors").set_value(["toy-slow"])
    get_widget(app, "multiselect", "images-classes").set_value(["0", "2"]).run()
    app = click_button(app, "images-ask")
    deadline = time.monotonic() + 30
    while "trainings are saved" not in read_page_text(app) and time.monotonic() < deadline:
        app = app.run()
    assert "of 8 trainings are saved" in read_page_text(app)
    app = wait_for_job(click_button(app, "cancel-work"))
    assert "Its finished trainings are saved" in read_page_text(app)
    assert "of 8 trainings are saved" in read_page_text(app)


def test_supervised_detectors_can_be_compared_once_abnormal_images_are_given(digest: str) -> None:
    app = open_images(images=digest)
    label = "VAE encoder → random forest (supervised)"
    assert label not in get_widget(app, "multiselect", "images-detectors").options
    assert "Supervised detectors can be chosen when" in read_page_text(app)
    app = get_widget(app, "number_input", "images-abnormal_count").set_value(5).run()
    assert label in get_widget(app, "multiselect", "images-detectors").options
    assert "Supervised detectors can be chosen when" not in read_page_text(app)


def test_comparison_names_failures_and_no_mean_for_them(comparison_run: tuple[ImageComparison, str]) -> None:
    comparison, run = comparison_run
    app = open_images(run=run)
    assert get_widget(app, "segmented_control", "images-section").value == "compare"
    failed = int((comparison.cells["reason"] != "").sum())
    assert failed > 0
    assert f"Trainings without a result: {failed}" in "".join(expander.label for expander in app.expander)
    table = app.dataframe[0].value.set_index("detector")
    assert table["mean"].iloc[-1] == "–"
    text = read_page_text(app)
    assert ("Winner" in text) == bool(comparison.winner)
    best = comparison.ranking.iloc[0]
    weakest = comparison.cells[
        (comparison.cells["detector"] == best["detector"]) & (comparison.cells["normal_class"] == best["worst_class"])
    ]
    for area in weakest["auc_roc"]:
        assert f"AUROC {images_comparison.format_area(area)}" in text, "the fits of the weakest class are open"


def test_link_of_a_cell_leads_to_its_fit_and_back(comparison_run: tuple[ImageComparison, str], digest: str) -> None:
    comparison, run = comparison_run
    cell = comparison.cells[comparison.cells["detector"] == "toy-images"].iloc[0]
    app = open_images(run=str(cell["run"]), section="model", **{"from": run})
    text = read_page_text(app)
    assert f"normal class “{cell['normal_class']}”" in text
    assert "neither a model nor a threshold" in text
    links = [link.proto.query_string for link in app.get("page_link")]
    assert any(run in query and "section=compare" in query for query in links)
    app = wait_for_job(click_button(app, "images-diagnose"))
    assert [error.value for error in app.error] == []
    assert app.query_params["from"] == run
    assert "False alarms" in read_metrics(app)
    assert "neither a model nor a threshold" not in read_page_text(app)


def test_published_rows_are_marked(
    comparison_run: tuple[ImageComparison, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison, run = comparison_run
    published = pd.DataFrame(
        {
            "model": ["Deep SVDD"] * 3,
            "normal_class": ["0", "1", "2"],
            "auc_roc": [0.98, 0.99, 0.91],
            "sd": [0.01, float("nan"), 0.02],
            "source": ["Ruff et al. 2018"] * 3,
            "is_checked": [True] * 3,
        }
    )
    shown = replace(comparison, published=published)
    assert average_published(shown) == pytest.approx({"Deep SVDD": 0.96})
    for module in ("pages.analysis.images", "pages.components.task_page"):
        monkeypatch.setattr(f"{module}.load_task_result", lambda run, workspace: shown, raising=False)
    app = open_images(run=run)
    table = app.dataframe[0].value
    assert table.iloc[-1].tolist() == ["Deep SVDD (published)", "96.0", "98.0 ± 1.0", "99.0", "91.0 ± 2.0"]
    assert "not measured here: Ruff et al. 2018" in read_page_text(app)
    partial = replace(shown, published=published.iloc[:2])
    assert average_published(partial) == {}, "a mean over fewer classes is no mean to compare with"


# ---- one model ------------------------------------------------------------------------------------------------------


def test_page_fits_one_model(digest: str) -> None:
    app = open_images(images=digest, section="model")
    get_widget(app, "selectbox", "images-normal_class").set_value("1").run()
    get_widget(app, "selectbox", "images-detector").set_value(LINE_TO_BEAT).run()
    app = wait_for_job(click_button(app, "images-ask"))
    assert [error.value for error in app.error] == []
    assert "normal class “1”" in read_page_text(app)


def test_threshold_moves_and_figures_follow(fit_run: tuple[ImageModelResult, str]) -> None:
    result, run = fit_run
    app = open_images(run=run)
    assert "should be above the threshold" in read_page_text(app)
    slider = get_widget(app, "select_slider", "images-threshold")
    assert slider.value == result.threshold
    confusion = result.count_confusion()
    assert f"| **abnormal** | {confusion.true_alarms} | {confusion.missed} |" in read_page_text(app)
    app = slider.set_value(list_thresholds(result.test_rows["score"], result.threshold)[-1]).run()
    assert not app.exception
    metrics = read_metrics(app)
    assert (metrics["Sensitivity"], metrics["Specificity"]) == ("100%", "0%")


def test_pictures_show_what_the_model_expects_and_take_verdicts(
    page_workspace: Workspace, fit_run: tuple[ImageModelResult, str]
) -> None:
    result, run = fit_run
    app = open_view(open_images(run=run), "Images")
    text = read_page_text(app)
    assert "image, what the model expects, where it is abnormal" in text
    worst = result.test_rows.iloc[0]
    assert get_widget(app, "selectbox", "gallery-image").options[0].startswith(f"{worst['image']} ·")
    get_widget(app, "segmented_control", "verdict-choice").set_value("true_alarm").run()
    app = click_button(app, next(str(button.key) for button in app.button if "verdict-save" in str(button.key)))
    assert not app.exception
    [record] = page_workspace.feedback.read_records()
    assert record.row is not None
    assert (record.page, record.row["entity"], record.verdict) == ("images", worst["image"], "true_alarm")
    assert "✓ true alarm" in read_page_text(app)


@pytest.mark.parametrize("kind", ["least", "false", "missed"])
def test_every_gallery_is_shown(fit_run: tuple[ImageModelResult, str], kind: str) -> None:
    app = open_view(open_images(run=fit_run[1]), "Images")
    app = get_widget(app, "segmented_control", "images-gallery-kind").set_value(kind).run()
    assert not app.exception
    assert get_widget(app, "selectbox", "gallery-image").options


@pytest.mark.parametrize("view", ["Embedding", "Training", "Model"])
def test_every_view_is_shown(fit_run: tuple[ImageModelResult, str], view: str) -> None:
    open_view(open_images(run=fit_run[1]), view)


def test_weight_changes_scores_without_training(fit_run: tuple[ImageModelResult, str]) -> None:
    app = open_images(run=fit_run[1])
    before = read_metrics(app)["AUROC, %"]
    app = get_widget(app, "slider", "images-weight").set_value(1.0).run()
    assert not app.exception
    after = read_metrics(app)["AUROC, %"]
    assert float(after) < float(before), "the brightness alone tells less than the distance"


def test_collapsed_model_is_said(page_workspace: Workspace, digest: str) -> None:
    spec = ImagesFitSpec(digest, detector=CollapsedImages())
    result, run = fit_detector(spec, workspace=page_workspace, actor=BOB)
    assert result.is_collapsed
    app = open_images(run=run.id)
    assert "The model has collapsed" in app.error[0].value


# ---- your pictures --------------------------------------------------------------------------------------------------


def test_page_without_model_says_so(page_workspace: Workspace, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runs.promotion.runs_with_model", lambda task, workspace: [])
    app = open_images(section="pictures", pictures=digest)
    assert "No model is saved yet" in read_page_text(app)


def test_saved_model_scores_other_pictures(
    page_workspace: Workspace, fit_run: tuple[ImageModelResult, str], digest: str
) -> None:
    pictures = make_images(per_class=10, size=12, seed=5)
    other = page_workspace.image_sets.save(ImageSet(pictures.pixels, pictures.image_names, files=("scans",)))
    app = open_images(images=digest, section="pictures", pictures=other)
    get_widget(app, "selectbox", "images-model-run").set_value(fit_run[1]).run()
    app = wait_for_job(click_button(app, "images-ask"))
    assert not app.exception
    assert [error.value for error in app.error] == []
    assert app.query_params["pictures"] == other
    assert app.query_params["images"] == digest
    text = read_page_text(app)
    assert "the images of 12 × 12 pixels were scaled to 8 × 8" in text
    table = app.dataframe[0].value
    assert len(table) == 30
    assert "class" not in table
    assert get_widget(app, "number_input", "gallery-page").max == 2
    get_widget(app, "number_input", "gallery-page").set_value(2).run()
    assert not app.exception
    app = choose_section(app, "compare")
    assert "images: 120" in read_page_text(app), "the comparison keeps its own images"


def test_scores_by_core_are_shown(
    page_workspace: Workspace, fit_run: tuple[ImageModelResult, str], digest: str
) -> None:
    scores, run = apply_model(ImagesScoreSpec(digest, model=fit_run[1]), workspace=page_workspace, actor=BOB)
    app = open_images(run=run.id)
    assert get_widget(app, "segmented_control", "images-section").value == "pictures"
    assert read_metrics(app)["Alarms"] == str(len(scores.anomalies))
    assert "AUROC, %" in read_metrics(app)
