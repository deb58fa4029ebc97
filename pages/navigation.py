"""Main script: language, style, pages and their roles, and the messages of all errors."""

import logging
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from core.errors import ServiceUnavailableError, VigieError  # noqa: E402
from core.language import LANGUAGES  # noqa: E402
from core.messages import N_  # noqa: E402
from core.spec.task import list_tasks  # noqa: E402
from pages.account import access_denied, sign_in, user_badge  # noqa: E402
from pages.components import auth, downloads, guide, streamlit_texts, url_state  # noqa: E402
from pages.components.auth import OPERATOR_ROLES, SignedInUser  # noqa: E402
from pages.components.i18n import _, get_language, keep_language, translate_message  # noqa: E402
from pages.components.term_help import GLOSSARY_ADDRESS  # noqa: E402

logger = logging.getLogger("vigie")
UNKNOWN_ADDRESS = "unknown-address"

ANALYST_ROLES, ADMINISTRATOR_ROLES = ("analyst", *OPERATOR_ROLES), ("administrator",)


@dataclass(frozen=True)
class PageSpec:
    """A page of the app.

    script     path of the script below `pages/`
    address    path of the page in the URL; "" for the home page
    roles      roles that may open the page
    is_listed  False for a page that the menu never shows
    """

    script: str
    title: str
    icon: str
    address: str
    roles: tuple[str, ...]
    is_listed: bool = True

    @property
    def is_account_page(self) -> bool:
        """True for a page about accounts, which is hidden where sign-in is not required."""
        return self.script.startswith("account/")


# All pages by section of the sidebar; the first section has no title.
SECTIONS = {
    "": [
        PageSpec("home/home.py", N_("Home"), "home", "", ANALYST_ROLES),
        PageSpec("data/load.py", N_("Load data"), "upload_file", "data", ANALYST_ROLES),
    ],
    N_("Analysis"): [
        PageSpec(f"analysis/{task.page}.py", task.label, task.icon, task.page, ANALYST_ROLES)
        for task in list_tasks()
        if task.has_page
    ],
    N_("Operations"): [
        PageSpec("operations/watch.py", N_("Watch"), "notifications_active", "watch", ANALYST_ROLES),
        PageSpec("operations/tracking.py", N_("Tracking"), "experiment", "tracking", ANALYST_ROLES),
        PageSpec("operations/feedback.py", N_("Feedback"), "rate_review", "feedback", ANALYST_ROLES),
        PageSpec("operations/monitoring.py", N_("Monitoring"), "speed", "monitoring", OPERATOR_ROLES),
        PageSpec("operations/health.py", N_("Health"), "monitor_heart", "health", OPERATOR_ROLES),
    ],
    N_("Help"): [PageSpec("help/glossary.py", N_("Glossary"), "menu_book", GLOSSARY_ADDRESS, ANALYST_ROLES)],
    N_("Account"): [
        PageSpec("account/profile.py", N_("Your account"), "account_circle", "account", ANALYST_ROLES),
        PageSpec("account/users.py", N_("Users"), "group", "users", ADMINISTRATOR_ROLES),
    ],
}


def main() -> None:
    """Show the page of the URL, or its replacement where the user may not open it."""
    keep_language()
    st.set_page_config(page_icon=str(ROOT / "pages" / "icon.svg"), layout="wide")
    st.html(ROOT / "styles.css")
    streamlit_texts.show()
    st.logo(ROOT / "pages" / "logo.svg", size="large")
    try:
        user, error = auth.current_user(), None
    except VigieError as exception:
        user, error = None, exception
    page = st.navigation(_build_pages(user, error), position="sidebar", expanded=True)
    st.set_page_config(page_title=f"{page.title} · Vigie")
    if user is not None:
        auth.reset_for_user(user.name)
        keep_language()  # the state of another user is gone
        user_badge.show(user)
    auth.set_viewer(user)
    _show_language_switch()
    try:
        if user is not None or not auth.is_sign_in_required():
            with st.container():  # always there, so that the elements of the page keep their places
                guide.show(_find_script(page.url_path))
        page.run()
    except VigieError as exception:
        st.error(translate_message(exception.message), icon=":material/error:")
    except Exception:  # noqa: BLE001 the one place where every error becomes a message
        _report_unexpected_error()
    _preload_libraries()


# ---- access check ---------------------------------------------------------------------------------------------------


def _build_pages(user: SignedInUser | None, error: VigieError | None) -> dict[str, list["st.Page"]]:
    """Return all pages by section; a replacement stands at the address of a page that the user may not open.

    The script of such a page is never passed to Streamlit, so it cannot run.
    """
    section_specs = [(_(section), page_spec) for section, page_specs in SECTIONS.items() for page_spec in page_specs]
    if not auth.is_sign_in_required():
        section_specs = [(section, page_spec) for section, page_spec in section_specs if not page_spec.is_account_page]
    unknown = _get_unknown_address({page_spec.address for _section, page_spec in section_specs})
    if unknown:
        section_specs.append(
            ("", PageSpec("home/unknown.py", N_("Unknown page"), "help", unknown, ANALYST_ROLES, False))
        )
    pages: dict[str, list[st.Page]] = {}
    for section, page_spec in section_specs:
        pages.setdefault(section, []).append(_build_page(page_spec, _choose_replacement(page_spec, user, error)))
    return pages


def _get_unknown_address(addresses: set[str]) -> str:
    """Return the address that the user typed if no page has it, else "".

    A page at this address answers in the language of the reader; Streamlit would answer in English. The session keeps
    the address, because Streamlit names it in the first run of the script only.
    """
    context = get_script_run_ctx()
    typed = (context.pages_manager.intended_page_name or "") if context else ""
    if typed and typed not in addresses and "/" not in typed:
        url_state.set_state(UNKNOWN_ADDRESS, typed)
    return str(url_state.get_state(UNKNOWN_ADDRESS, ""))


def _find_script(address: str) -> Path | None:
    scripts = [
        page_spec.script for page_specs in SECTIONS.values() for page_spec in page_specs if page_spec.address == address
    ]
    return ROOT / "pages" / scripts[0] if scripts else None


def _choose_replacement(
    page_spec: PageSpec, user: SignedInUser | None, error: VigieError | None
) -> Callable[[], None] | None:
    """Return the replacement of `page_spec` for this user; None for the page itself."""
    if not auth.is_sign_in_required():
        return None
    if error is not None:
        return (
            sign_in.show_unreachable
            if isinstance(error, ServiceUnavailableError)
            else partial(access_denied.show_rejected_account, error)
        )
    if user is None:
        return partial(sign_in.show, page_spec.address)
    if not user.roles:
        return partial(access_denied.show_no_role, user)
    if user.roles.isdisjoint(page_spec.roles):
        return partial(access_denied.show, _(page_spec.title), page_spec.roles)
    return None


def _build_page(page_spec: PageSpec, replacement: Callable[[], None] | None) -> "st.Page":
    return st.Page(
        replacement or ROOT / "pages" / page_spec.script,
        title=_(page_spec.title),
        icon=f":material/{page_spec.icon}:",
        url_path=page_spec.address or None,
        default=not page_spec.address,
        visibility="hidden" if replacement or not page_spec.is_listed else "visible",
    )


# ---- sidebar, errors, preloading ------------------------------------------------------------------------------------


def _show_language_switch() -> None:
    with st.sidebar.container(key="language-switch"):
        st.segmented_control(
            _("Language"),
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            default=get_language(),
            key="language",
            label_visibility="collapsed",
            required=True,
        )
        downloads.show_csv_format_choice()


def _report_unexpected_error() -> None:
    """Show an error number to the user, and log the exception under this number."""
    number = uuid.uuid4().hex[:8]
    logger.exception("unexpected error %s", number)
    st.error(
        _(
            "An unexpected error occurred. Your data are not lost. Give the error number "
            "{number} to your administrator."
        ).format(number=number),
        icon=":material/report:",
    )


def _preload_libraries() -> None:
    from core.lifespan import start_preload

    start_preload()


if __name__ == "__main__":
    main()
