"""Whole model of images: every detector is stored and loaded with the same scores; served pictures; other sizes."""

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.actor import Actor
from core.detectors.images.image_model import ImageModel, decode_image, encode_images
from core.errors import DataError, UnreadableFileError
from core.progress import CancelledError, Progress
from core.spec.hyperparameters import get_hyperparameters
from core.tasks.images.fit import fit_detector, load_fitted_model
from core.tasks.images.spec import ImagesFitSpec, list_detectors
from core.workspace import Workspace
from tests.support.toy_images import ToyImages, make_images

QUICK = {"epochs": 2, "seconds": 5.0}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # two epochs are not enough
@pytest.mark.parametrize("name", sorted(list_detectors()))
def test_stored_model_gives_the_same_scores(workspace: Workspace, name: str) -> None:
    images = make_images(60)
    detector: Any = list_detectors()[name]()
    detector = replace(detector, **{key: QUICK[key] for key in QUICK.keys() & get_hyperparameters(detector).keys()})
    spec = ImagesFitSpec(workspace.image_sets.save(images), detector=detector, abnormal_count=60)
    result, run = fit_detector(spec, workspace=workspace, actor=Actor("bob", "tests"))
    model = load_fitted_model(run.id, workspace)
    rows = result.test_rows
    np.testing.assert_allclose(
        model.score(images.pixels, rows["position"].to_numpy()), rows["score"], rtol=1e-3, atol=1e-6
    )
    assert not result.is_collapsed, result.measurements
    assert len(result.points) == len(rows)
    table = model.predict(encode_images(images.pixels[:3]))
    assert table[["score", "p_value"]].notna().all(axis=None)


@pytest.fixture
def model() -> ImageModel:
    """Toy model of grey images of 8 × 8."""
    return ImageModel(ToyImages(), "0").fit(make_images().pixels, Progress())


def encode_picture(pixels: np.ndarray, kind: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


def test_served_pictures_are_read_as_files_are(model: ImageModel) -> None:
    grey = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    deep = grey.astype(np.uint16) * 257
    texts = [encode_picture(picture) for picture in (grey, np.stack([grey] * 3, axis=2), deep)]
    scores = model.predict(pd.DataFrame({"image": texts}))["score"]
    np.testing.assert_allclose(scores, scores[0])
    assert decode_image(texts[2])[..., 0].tolist() == grey.tolist()
    large = model.predict(pd.DataFrame({"image": [encode_picture(np.kron(grey, np.ones((4, 4), np.uint8)), "JPEG")]}))
    assert large["score"][0] == pytest.approx(scores[0], rel=0.1)
    assert model.predict(pd.DataFrame({"image": []})).empty


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("not base64!", DataError),
        (base64.b64encode(b"no picture").decode(), UnreadableFileError),
        (encode_picture(np.zeros((1, 1), np.uint8)), UnreadableFileError),
    ],
)
def test_served_text_that_is_no_picture_is_refused(model: ImageModel, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        model.predict(pd.DataFrame({"image": [text]}))


def test_model_adapts_size_and_channels(model: ImageModel) -> None:
    pixels = make_images().pixels
    same, notes = model.adapt(pixels)
    assert same is pixels
    assert not notes
    adapted, notes = model.adapt(make_images(size=16, channels=3).pixels, "a.zip")
    assert adapted.shape == (len(pixels), 8, 8, 1)
    assert [str(note)[:6] for note in notes] == ["a.zip:"] * 2
    model.channels = 3
    assert model.adapt(pixels)[0].shape[1:] == (8, 8, 3)


def test_model_scores_in_chunks(model: ImageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = make_images().pixels
    whole = model.score(pixels)
    monkeypatch.setattr("core.detectors.images.image_model.CHUNK_BYTES", 500)
    np.testing.assert_array_equal(model.score(pixels), whole)
    np.testing.assert_array_equal(model.score(pixels, np.array([5, 2])), whole[[5, 2]])
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        model.score(pixels, progress=progress)


def test_model_refuses_scores_that_are_not_finite(model: ImageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyImages, "score", lambda self, images: np.full(len(images), np.nan))
    with pytest.raises(DataError, match="not finite"):
        model.score(make_images().pixels)
