"""Labels of the options of a choice.

Streamlit finds the chosen option by its label. Of two options with the same label it would always take the same one.
"""

from collections.abc import Callable, Hashable, Sequence
from itertools import count
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def label_uniquely(options: Sequence[T], label: Callable[[T], str]) -> Callable[[T], str]:
    """Return a function that labels options as `label` does, and numbers those whose label another one has.

    Example:
        >>> list(map(label_uniquely([1.04, 1.01, 2.0], "{:.1f}".format), [1.04, 1.01, 2.0]))
        ['1.0', '1.0 (2)', '2.0']
    """
    labels: dict[T, str] = {}
    texts = {option: label(option) for option in options}
    taken, given = set(texts.values()), set[str]()
    for option, text in texts.items():
        if text in given:
            text = next(numbered for number in count(2) if (numbered := f"{text} ({number})") not in taken)
            taken.add(text)
        given.add(text)
        labels[option] = text
    return lambda option: labels[option] if option in labels else label(option)
