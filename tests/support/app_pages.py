"""Pages in Streamlit's test harness: open a page, read its text, click a button."""

import re

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from core.settings import ROOT
from pages.navigation import SECTIONS

ADDRESSES = {page.script: page.address for pages in SECTIONS.values() for page in pages}
APP_SCRIPT = str(ROOT / "pages" / "navigation.py")


def open_page(page: str = "data/load.py", **address: str) -> AppTest:
    """Open the app on one of its pages, as its address does: `switch_page` would run the home page first."""
    app = AppTest.from_file(APP_SCRIPT, default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    if page_address := ADDRESSES[page]:
        app._page_hash = calc_hash(page_address)
    return app.run()


def read_page_text(app: AppTest) -> str:
    """Return all text that the page shows, as a reader sees it: without the escapes of Markdown."""
    headings = [*app.title, *app.header, *app.subheader]
    parts = [*headings, *app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", "\n".join(str(part.value) for part in parts))


def click_button(app: AppTest, key: str) -> AppTest:
    return next(button for button in app.button if button.key == key).click().run()


def open_form(app: AppTest, task: str) -> AppTest:
    """Open the settings of an analysis, which are closed below a result and while a job runs."""
    work, run = (app.query_params.get(name, "") for name in ("work", "run"))
    app.session_state[f"{task}-settings-{run}-{work}"] = True
    return app.run()


def choose_saved_model(app: AppTest, task: str) -> AppTest:
    """Choose the second mode of a form, which applies a saved model."""
    return next(choice for choice in app.segmented_control if choice.key == f"{task}-mode").set_value(1).run()


def promote_first_model(app: AppTest, task: str) -> None:
    """Open the model section, register the model, and promote it as the first champion, which needs no reason."""
    app.session_state[f"{task}-model"] = True
    app = click_button(app.run(), "register")
    assert not app.exception
    assert not app.error
    app = click_button(app, "promote")
    assert not app.error
    assert "is the champion" in read_page_text(app)
