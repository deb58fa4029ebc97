"""A walk through a page with the Tab key: what it reaches, and whether the focus is seen there."""

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

MAX_STOPS = 400

WALK = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Walk:
    """Stops of the Tab key, elements for the mouse alone, and stops whose focus is not seen."""

    stops: int
    missed: list[str]
    faint: list[str]


def walk_with_tab(page: Page) -> Walk:
    """Press Tab from the top of a page to its end."""
    page.evaluate(WALK)
    for _stop in range(MAX_STOPS):
        page.keyboard.press("Tab")
        if not page.evaluate("walk.step()"):
            break
    return Walk(**page.evaluate("walk.end()"))
