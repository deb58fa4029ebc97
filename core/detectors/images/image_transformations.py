"""Transformations whose names a network can learn: quarter turns, shifts, mirroring."""

from typing import TYPE_CHECKING, Literal

from core.lazy_import import LazyModule
from core.messages import N_

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

TransformationSet = Literal["rotations", "rotations-shifts", "rotations-shifts-mirrors"]
CHOICES = {N_("rotation"): 4, N_("shift down"): 3, N_("shift right"): 3, N_("mirror"): 2}  # question → its answers
CENTRE = 1  # answer of a shift that leaves the image in its place
SHIFT_SHARE = 0.25  # of the side of the image


def list_questions(transformations: TransformationSet) -> dict[str, int]:
    """Return the questions that a set of transformations asks about an image, with the number of answers.

    Example:
        >>> list_questions("rotations-shifts")
        {'rotation': 4, 'shift down': 3, 'shift right': 3}
    """
    count = {"rotations": 1, "rotations-shifts": 3, "rotations-shifts-mirrors": 4}[transformations]
    return dict(list(CHOICES.items())[:count])


def list_scoring_answers(transformations: TransformationSet) -> "Tensor":
    """Return the transformations of an image that its score is averaged over, (transformations, 4) of answers.

    With shifts these are a third of all: each turn with each shift down and right, but not with each pair.
    """
    turns = range(CHOICES["rotation"])
    if transformations == "rotations":
        return torch.tensor([[turn, CENTRE, CENTRE, 0] for turn in turns])
    mirrors = range(CHOICES["mirror"] if transformations == "rotations-shifts-mirrors" else 1)
    shifts = range(CHOICES["shift down"])
    return torch.tensor(
        [[turn, down, (down + turn) % 3, mirror] for turn in turns for down in shifts for mirror in mirrors]
    )


def draw_answers(transformations: TransformationSet, count: int, *, mirror: bool, rng: "torch.Generator") -> "Tensor":
    """Return random answers for `count` images in each of the four turns, (4 · count, 4); turns change slowest.

    Without shifts in the set, images stay in place. `mirror` mirrors half of the images, whether that is asked or not.
    """
    answers = torch.zeros(4 * count, 4, dtype=torch.long)
    answers[:, 0] = torch.arange(4).repeat_interleave(count)
    answers[:, 1:3] = CENTRE
    if transformations != "rotations":
        answers[:, 1:3] = torch.randint(3, (4 * count, 2), generator=rng)
    if mirror:
        answers[:, 3] = torch.randint(2, (4 * count,), generator=rng)
    return answers


def transform_images(images: "Tensor", answers: "Tensor") -> "Tensor":
    """Return square `images` (B, channels, side, side) mirrored, shifted, then turned as `answers` (B, 4) say.

    A shift moves an image by a quarter of its side; the free strip shows the image reflected at its edge. Turns are
    counter-clockwise and exact.
    """
    side = images.shape[3]
    shift = max(round(side * SHIFT_SHARE), 1)
    turn, down, right, mirror = answers.to(images.device).unbind(1)
    places = torch.arange(side, device=images.device)
    rows = _reflect(places - (down[:, None] - CENTRE) * shift, side)
    columns = _reflect(places - (right[:, None] - CENTRE) * shift, side)
    columns = torch.where(mirror[:, None] == 1, side - 1 - columns, columns)
    rows, columns = rows[:, :, None].expand(-1, -1, side), columns[:, None, :].expand(-1, side, -1)
    quarter = turn[:, None, None]
    # Pixel (y, x) of an image turned by 90° is pixel (x, side − 1 − y) of the image.
    y, x = places[:, None].expand(side, side)[None], places[None, :].expand(side, side)[None]
    for number in range(1, 4):
        is_turned = quarter >= number
        y, x = torch.where(is_turned, x, y), torch.where(is_turned, side - 1 - y, x)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    pixels = images.permute(0, 2, 3, 1)[batch, rows[batch, y, x], columns[batch, y, x]]
    return pixels.permute(0, 3, 1, 2)


def fit_square(images: "Tensor", side: int) -> "Tensor":
    """Return `images` (B, channels, height, width) as squares of at most `side` pixels, by means of areas."""
    height, width = images.shape[2:]
    size = min(max(height, width), side)
    return images if height == width == size else functional.interpolate(images, (size, size), mode="area")


def _reflect(places: "Tensor", side: int) -> "Tensor":
    """Return places outside 0 … side − 1 reflected into it."""
    places = places.abs()
    return torch.minimum(places, 2 * (side - 1) - places)
