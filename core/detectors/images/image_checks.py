"""Checks of the images that a detector is given."""

from core.data.images.image_set import Pixels
from core.errors import DataError
from core.messages import N_

MIN_TRAINING_IMAGES = 2


def require_training_images(images: Pixels) -> None:
    """Raise DataError for less than 2 images."""
    if len(images) < MIN_TRAINING_IMAGES:
        raise DataError(
            N_(
                "There is {count} training image. At least {needed} are needed.",
                "There are {count} training images. At least {needed} are needed.",
            ),
            count=len(images),
            needed=MIN_TRAINING_IMAGES,
        )


def require_shape(images: Pixels, shape: tuple[int, ...]) -> None:
    """Raise DataError if `images` are not of the `shape` (height, width, channels)."""
    if images.shape[1:] != tuple(shape):
        raise DataError(
            N_("The images are {value}. The model was trained on images of {accepted} (height × width × channels)."),
            value=" × ".join(map(str, images.shape[1:])),
            accepted=" × ".join(map(str, shape)),
        )
