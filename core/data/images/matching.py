"""Images in the size and number of channels that a model was fitted on."""

from dataclasses import replace

import numpy as np

from core.data.images.decoding import fit_pixels
from core.data.images.image_block import check_image_bytes
from core.data.images.image_set import ImageSet, Pixels
from core.messages import N_, Message

LUMINANCE_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (ITU-R BT.601)


def match_images(images: ImageSet, height: int, width: int, *, is_colour: bool) -> ImageSet:
    """Return the images in another size and with 1 or 3 channels, with notes about what was changed.

    They are scaled in proportion, and their borders are continued. The same set is returned where nothing differs.
    Raises UnreadableFileError if they would take too much memory.

    Example:
        >>> images = ImageSet(np.zeros((2, 9, 20, 3), np.uint8), ("a", "b"), files=("a.zip",))
        >>> matched = match_images(images, 16, 16, is_colour=False)
        >>> matched.pixels.shape, str(matched.notes[1])
        ((2, 16, 16, 1), 'a.zip: the images of 20 × 9 pixels were scaled to 16 × 16, as the model needs them.')
    """
    pixels, notes, file = images.pixels, list(images.notes), ", ".join(images.files)[:80]
    if images.is_colour != is_colour:
        pixels = np.repeat(pixels, 3, axis=3) if is_colour else _to_grey(pixels)
        template = (
            N_("{file}: the grey images were given three channels, as the model needs them.")
            if is_colour
            else N_("{file}: the colour images were made grey, as the model needs them.")
        )
        notes.append(Message(template, {"file": file}))
    if (images.height, images.width) != (height, width):
        check_image_bytes(len(images) * height * width * pixels.shape[3], file)
        pixels = np.stack([fit_pixels(image, (width, height)) for image in pixels]).astype(np.uint8, copy=False)
        values = {"file": file, "width": images.width, "height": images.height, "new_width": width}
        template = N_(
            "{file}: the images of {width} × {height} pixels were scaled to {new_width} × {new_height}, as the model "
            "needs them."
        )
        notes.append(Message(template, {**values, "new_height": height}))
    return images if pixels is images.pixels else replace(images, pixels=pixels, notes=tuple(notes))


def _to_grey(pixels: Pixels) -> Pixels:
    return np.rint(pixels @ LUMINANCE_WEIGHTS)[..., None].astype(np.uint8)
