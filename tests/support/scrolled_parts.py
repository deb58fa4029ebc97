"""Search for what a reader has to scroll sideways: rows of choices, which show no sign of it, and wide tables."""

from playwright.sync_api import Page

LIST_SCROLLED_CHOICES = """() => [...document.querySelectorAll('[data-testid=stMain] [role=radiogroup]')]
  .filter(choices => choices.checkVisibility() && choices.scrollWidth > choices.clientWidth + 1)
  .map(choices => `choices: ${choices.innerText.replace(/\\s+/g, ' ').slice(0, 80)}`)"""
LIST_SCROLLED_TABLES = """() => [...document.querySelectorAll('[data-testid=stDataFrame] .dvn-scroller')]
  .filter(table => table.checkVisibility() && table.scrollWidth > table.clientWidth + 1)
  .map(table => `table: ${table.closest('[class*=st-key-]').className.match(/st-key-[^ ]+/)[0]}`)"""


def list_scrolled_choices(page: Page) -> list[str]:
    """Return a line for each row of choices that is wider than its place."""
    return list(page.evaluate(LIST_SCROLLED_CHOICES))


def list_scrolled_tables(page: Page) -> list[str]:
    """Return a line for each table whose columns are wider than their place."""
    return list(page.evaluate(LIST_SCROLLED_TABLES))
