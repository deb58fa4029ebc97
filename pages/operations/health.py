"""Page of health: state of the services, pending deliveries, settings and versions."""

import pandas as pd
import streamlit as st

from core import jobs
from core.errors import ServiceUnavailableError
from core.operations.health import ServiceHealth, check_services, summarise_health
from core.operations.system_info import list_settings, list_versions
from core.outbox import deliver_now
from pages.components import cache, data_sizes
from pages.components.i18n import _, format_value, translate_plain
from pages.components.markdown import escape_markdown, format_code

STATE_ICONS = {
    "works": ":material/check_circle:",
    "not_set": ":material/radio_button_unchecked:",
    "at_rest": ":material/bedtime:",
    "short": ":material/warning:",
    "failing": ":material/error:",
}
STATE_COLOURS = {"works": "green", "not_set": "gray", "at_rest": "gray", "short": "orange", "failing": "red"}


def main() -> None:
    """Check all services, and show their state."""
    st.title(_("Health"))
    st.caption(
        _(
            "Each service is checked now, with a timeout of 1.5 seconds. No data are lost "
            "while a service does not respond."
        )
    )
    note = _deliver_pending() if _ask_delivery() else ""
    services = check_services(cache.get_workspace(), jobs.list_workers)
    _show_summary(services, note)
    for service in services:
        _show_service(service)
    data_sizes.show_sizes()
    _show_settings()
    _show_versions()


def _ask_delivery() -> bool:
    """Show the buttons; return True if pending records are to be delivered now."""
    with st.container(horizontal=True):
        st.button(_("Check again"), key="ask-again", icon=":material/refresh:")
        return st.button(_("Deliver now"), key="deliver-now", icon=":material/outbox:")


def _deliver_pending() -> str:
    """Deliver pending records, and return a sentence: the counts, or that the delivery continues in the background."""
    try:
        counts = cache.submit_once("deliver", lambda: deliver_now(cache.get_workspace()))
    except ServiceUnavailableError:
        return _("The delivery takes longer and continues in the background.")
    contents = [f"{format_value(count)} {_(content)}" for content, count in counts.items() if count]
    return (
        _("Delivered: {what}.").format(what=", ".join(contents))
        if contents
        else _("No record was delivered. Either no record is pending, or the service does not respond.")
    )


def _show_summary(services: list[ServiceHealth], note: str) -> None:
    if note:
        st.info(note, icon=":material/outbox:")
    pending_count = format_value(sum(service.backlog for service in services))
    match summarise_health(services):
        case "down":
            failing = ", ".join(_(service.name) for service in services if service.state == "failing")
            st.error(
                _("Not working: {services}. Records waiting for delivery: {count}.").format(
                    services=failing, count=pending_count
                ),
                icon=":material/error:",
            )
        case "degraded":
            st.warning(
                _("All configured services work, and something needs attention. Waiting records: {count}.").format(
                    count=pending_count
                ),
                icon=":material/warning:",
            )
        case "well":
            st.success(
                _("All configured services work. Records waiting for delivery: {count}.").format(count=pending_count),
                icon=":material/check_circle:",
            )


def _show_service(service: ServiceHealth) -> None:
    state = service.state
    with st.container(border=True, key=f"health-{service.name.lower().replace(' ', '-')}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{_(service.name)}**")
            st.badge(_translate_state(state), icon=STATE_ICONS[state], color=STATE_COLOURS[state])  # type: ignore[arg-type]
        st.caption(" · ".join(_list_facts(service)))
        if service.problem:
            st.text(translate_plain(service.problem))
        if service.earlier:
            st.text(_("Last error: {error}").format(error=service.earlier))


def _translate_state(state: str) -> str:
    return {
        "works": _("works"),
        "not_set": _("not configured: uses the data folder"),
        "at_rest": _("at rest"),
        "short": _("needs attention"),
        "failing": _("does not work"),
    }[state]


def _list_facts(service: ServiceHealth) -> list[str]:
    facts = [
        format_code(service.place),
        escape_markdown(service.version),
        _("{count} ms").format(count=format_value(round(1000 * service.seconds))),
    ]
    if service.backlog:
        facts.append(_("{count} pending").format(count=format_value(service.backlog)))
    if service.refused:
        facts.append(_("{count} rejected").format(count=format_value(service.refused)))
    return [fact for fact in facts if fact]


def _show_settings() -> None:
    with st.expander(_("Settings"), icon=":material/tune:"):
        st.caption(_("Secrets are masked. docs/reference/settings.md describes each setting."))
        sources = {"environment": _("environment"), ".env": ".env", "default": _("default")}
        rows = [
            (setting.name, setting.value, sources[setting.source])
            for setting in list_settings(cache.get_workspace().settings)
        ]
        st.dataframe(
            pd.DataFrame(rows, columns=[_("Setting"), _("Value"), _("Source")]),
            hide_index=True,
            width="stretch",
            key="settings",
        )


def _show_versions() -> None:
    with st.expander(_("Versions"), icon=":material/deployed_code:"):
        st.dataframe(
            pd.DataFrame(list_versions().items(), columns=[_("Library"), _("Version")]),
            hide_index=True,
            width="stretch",
            key="versions",
        )


main()
