"""Links to the pages of MLflow, or the command that starts them."""

from urllib.parse import urlsplit

import streamlit as st

from core.operations.mlflow_server import format_server_command
from core.runs import comparison
from pages.components import auth, cache
from pages.components.i18n import _

ALL_ADDRESSES = "0.0.0.0"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


def show_link(task: str) -> None:
    """Show the link to the runs of a task in MLflow; where it has only a file, the command that starts its pages."""
    workspace = cache.get_workspace()
    address = comparison.get_experiment_url(task, workspace)
    if url := localise_link(address):
        st.link_button(_("Open MLflow"), url, icon=":material/open_in_new:", help=explain_address(address))
        return
    if workspace.settings.mlflow_tracking_uri or not auth.manages_all_runs():
        return  # the server does not answer, or the user has no access to the machine of the file
    with st.popover(_("Open MLflow"), icon=":material/open_in_new:", key="mlflow-command"):
        st.markdown(
            _(
                "No MLflow server can be reached from here. This command starts one on the machine of the data folder. "
                "Then open http://127.0.0.1:5000 there."
            )
        )
        st.code(format_server_command(workspace), language="sh", wrap_lines=True)


def localise_link(url: str) -> str:
    """Return a link to MLflow as this browser can open it; "" where the server listens on another machine's loopback.

    A server that listens on all addresses has the name under which the browser reaches the app.
    """
    return adapt_host(url, urlsplit(st.context.url or "").hostname or LOOPBACK_NAMES[0])


def explain_address(url: str) -> str | None:
    """Return what helps where a link leads nowhere; None for an address that was set, or that of this machine.

    A server in a container listens on all addresses and cannot know whether its port is published.

    Example:
        >>> explain_address("http://127.0.0.1:5000/#/runs") is None
        True
    """
    if urlsplit(url).hostname != ALL_ADDRESSES:
        return None
    return _(
        "If no page opens, publish port {port} of the container, or set MLFLOW_PUBLIC_URI to the address of MLflow for "
        "browsers."
    ).format(port=urlsplit(url).port)


def adapt_host(url: str, host: str) -> str:
    """Return a link for a browser that reaches the app under the name `host`.

    Example:
        >>> adapt_host("http://0.0.0.0:5000/#/runs", "vigie.example.org")
        'http://vigie.example.org:5000/#/runs'
        >>> adapt_host("http://127.0.0.1:5000/#/runs", "vigie.example.org")
        ''
        >>> adapt_host("https://mlflow.example.org/#/runs", "vigie.example.org")
        'https://mlflow.example.org/#/runs'
    """
    name = urlsplit(url).hostname
    if name == ALL_ADDRESSES:
        return url.replace(ALL_ADDRESSES, f"[{host}]" if ":" in host else host, 1)
    return "" if name in LOOPBACK_NAMES and host not in LOOPBACK_NAMES else url
