"""Options of commands that take files of images: files, a digest, or a sample."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from core.cli.options import INTAKES, load_images
from core.cli.task_commands import _build_spec
from core.data.images.samples import load_image_sample
from core.errors import NotFoundError, OptionError, UnreadableFileError
from core.spec.hyperparameters import hyperparameter
from core.spec.spec import Spec
from core.workspace import Workspace
from tests.support.written_images import encode_picture, make_noise, write_zip


@dataclass(frozen=True)
class PictureSpec(Spec):
    """Look at pictures."""

    images: str = hyperparameter("", help="The pictures.", flag="--data", files="image_sets")
    covariates: str = hyperparameter("", help="The weather.", files="covariates")
    normal_class: str = hyperparameter("", help="The normal class.")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    members = {f"{name}/{seed}.png": encode_picture(make_noise(seed=seed)) for seed, name in enumerate(("cat", "dog"))}
    return write_zip(tmp_path / "pets.zip", members | {"dog/broken.png": b"no picture"})


def test_field_of_images_holds_the_digest_of_its_files(
    workspace: Workspace, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"images": [archive], "normal_class": "cat"}
    spec = _build_spec(PictureSpec, values, workspace)
    assert isinstance(spec, PictureSpec)
    images = workspace.image_sets.load(spec.images)
    assert images.classes == ("cat", "dog")
    np.testing.assert_array_equal(images.pixels[1], make_noise(seed=1))
    assert spec.normal_class == "cat"
    told = capsys.readouterr()
    assert "dog/broken.png" in told.err
    assert told.out == ""


def test_digest_of_stored_images_is_accepted(workspace: Workspace, archive: Path) -> None:
    digest = load_images([archive], workspace)
    assert load_images([Path(digest)], workspace) == digest
    with pytest.raises(NotFoundError, match="The images"):
        load_images([Path("0" * 64)], workspace)
    with pytest.raises(OptionError):
        load_images([Path(digest), archive], workspace)


def test_name_of_sample_is_accepted(workspace: Workspace) -> None:
    digest = load_images([Path("digits")], workspace)
    assert digest == load_image_sample("digits").digest
    assert len(workspace.image_sets.load(digest)) == 1797
    with pytest.raises(UnreadableFileError, match="numbers: no such file"):
        load_images([Path("numbers")], workspace)


def test_every_store_of_files_has_an_intake(workspace: Workspace) -> None:
    assert all(hasattr(workspace, store) for store in INTAKES)
