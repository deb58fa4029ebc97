"""The main script: language, style, the gate, the pages, and the one place where errors become messages."""

import logging
import sys
import uuid
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from core.errors import VigieError  # noqa: E402
from core.settings import settings  # noqa: E402
from pages.parts.text import LANGUAGES, _, language, say  # noqa: E402

logger = logging.getLogger("vigie")


def main() -> None:
    st.set_page_config(page_title="Vigie", page_icon=":material/visibility:", layout="wide")
    st.html(ROOT / "styles.css")
    st.logo(ROOT / "pages" / "logo.svg", size="large")
    page = st.navigation(_pages(), position="sidebar")
    _language_switch()
    try:
        page.run()
    except VigieError as error:
        st.error(say(error.text), icon=":material/error:")
    except Exception:  # noqa: BLE001 the one place where every error becomes a message
        _unexpected()
    _warm()


def _pages() -> dict[str, list["st.Page"]]:  # type: ignore[valid-type]
    """Every page; where sign-in is required and nobody has, each of their addresses shows the sign-in page instead."""
    signed_in = getattr(st.user, "is_logged_in", False)
    gate = settings().vigie_require_sign_in and not signed_in

    def page(path: str, title: str, icon: str, address: str, default: bool = False):  # type: ignore[no-untyped-def]
        script = "account/sign_in.py" if gate else path
        return st.Page(
            ROOT / "pages" / script, title=title, icon=f":material/{icon}:", url_path=address, default=default,
            visibility="hidden" if gate else "visible",
        )  # fmt: skip

    return {
        _("Data"): [page("data/load.py", _("Load data"), "upload_file", "data", default=True)],
        _("Analysis"): [
            page("analysis/anomalies.py", _("Anomalies"), "troubleshoot", "anomalies"),
            page("analysis/clusters.py", _("Clusters"), "bubble_chart", "clusters"),
            page("analysis/forecast.py", _("Forecast"), "trending_up", "forecast"),
            page("analysis/sequences.py", _("Sequences"), "monitoring", "sequences"),
        ],
        _("Operations"): [
            page("operations/tracking.py", _("Tracking"), "experiment", "tracking"),
            page("operations/feedback.py", _("Feedback"), "rate_review", "feedback"),
            page("operations/monitoring.py", _("Monitoring"), "speed", "monitoring"),
            page("operations/health.py", _("Health"), "monitor_heart", "health"),
        ],
    }


def _language_switch() -> None:
    with st.sidebar.container(key="language-switch"):
        st.segmented_control(
            _("Language"), list(LANGUAGES), format_func=LANGUAGES.__getitem__, default=language(), key="language",
            label_visibility="collapsed", required=True,
        )  # fmt: skip


def _unexpected() -> None:
    """A fault of ours: the person gets a number to quote, the log gets the rest."""
    number = uuid.uuid4().hex[:8]
    logger.exception("unexpected error %s", number)
    st.error(
        _("Something went wrong that should not have. Nothing of yours is lost. Quote number {number} to your administrator.")
        .format(number=number), icon=":material/report:",
    )  # fmt: skip


def _warm() -> None:
    from core.background import warm

    warm()


main()
