"""Page of health: state of the services, pending deliveries, settings and versions."""

import pandas as pd
import streamlit as st

from core import jobs
from core.errors import ServiceUnavailableError
from core.operations.health import ServiceHealth, check_services, fails
from core.operations.system_info import settings_of, versions
from core.outbox import deliver_now
from pages.components import cache
from pages.components.i18n import _, say, shown

ICONS = {
    "works": ":material/check_circle:",
    "not_set": ":material/radio_button_unchecked:",
    "short": ":material/warning:",
    "failing": ":material/error:",
}
COLOURS = {"works": "green", "not_set": "gray", "short": "orange", "failing": "red"}


def main() -> None:
    """Check all services, and show their state."""
    st.title(_("Health"))
    st.caption(
        _(
            "Each service is asked now, and given up after a second and a half. Nothing is lost while one "
            "does not answer."
        )
    )
    told = _delivered() if _buttons() else ""
    services = check_services(cache.get_workspace(), jobs.list_workers)
    _summary(services, told)
    for service in services:
        _card(service)
    _settings()
    _versions()


def _buttons() -> bool:
    """Show the buttons; return True if pending records are to be delivered now."""
    with st.container(horizontal=True):
        st.button(_("Ask again"), key="ask-again", icon=":material/refresh:")
        return st.button(_("Deliver now"), key="deliver-now", icon=":material/outbox:")


def _delivered() -> str:
    """Deliver pending records, and return a sentence with the counts."""
    try:
        counts = cache.submit_once("deliver", lambda: deliver_now(cache.get_workspace()))
    except ServiceUnavailableError:
        return _("Delivery takes longer and goes on in the background.")
    delivered = [f"{shown(count)} {_(content)}" for content, count in counts.items() if count]
    return (
        _("Delivered: {what}.").format(what=", ".join(delivered))
        if delivered
        else _("Nothing could be, or had to be, delivered.")
    )


def _summary(services: list[ServiceHealth], told: str) -> None:
    if told:
        st.info(told, icon=":material/outbox:")
    waiting = sum(service.backlog for service in services)
    if fails(services):
        failing = ", ".join(_(service.name) for service in services if service.state == "failing")
        st.error(
            _("Not working: {services}. {count} records wait.").format(services=failing, count=shown(waiting)),
            icon=":material/error:",
        )
    else:
        st.success(
            _("Everything that is set works. {count} records wait.").format(count=shown(waiting)),
            icon=":material/check_circle:",
        )


def _card(service: ServiceHealth) -> None:
    state = service.state
    with st.container(border=True, key=f"health-{service.name.lower().replace(' ', '-')}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{_(service.name)}**")
            st.badge(_word(state), icon=ICONS[state], color=COLOURS[state])  # type: ignore[arg-type]
        st.caption(" · ".join(_facts(service)))
        if service.problem:
            st.text(say(service.problem))
        if service.earlier:
            st.text(_("Last error: {error}").format(error=service.earlier))


def _word(state: str) -> str:
    return {
        "works": _("works"),
        "not_set": _("not set: in the data folder"),
        "short": _("needs attention"),
        "failing": _("does not work"),
    }[state]


def _facts(service: ServiceHealth) -> list[str]:
    facts = [f"`{service.place}`", service.version, _("{count} ms").format(count=shown(round(1000 * service.seconds)))]
    if service.backlog:
        facts.append(_("{count} waiting").format(count=shown(service.backlog)))
    if service.refused:
        facts.append(_("{count} refused for good").format(count=shown(service.refused)))
    return [fact for fact in facts if fact]


def _settings() -> None:
    with st.expander(_("Settings"), icon=":material/tune:"):
        st.caption(_("Secrets are masked. docs/deployment.md says what each is for."))
        rows = [
            (each.name, each.value, _("set") if each.is_set else _("default"))
            for each in settings_of(cache.get_workspace().settings)
        ]
        st.dataframe(
            pd.DataFrame(rows, columns=[_("Setting"), _("Value"), _("From")]),
            hide_index=True,
            width="stretch",
            key="settings",
        )


def _versions() -> None:
    with st.expander(_("Versions"), icon=":material/deployed_code:"):
        st.dataframe(
            pd.DataFrame(versions().items(), columns=[_("Library"), _("Version")]),
            hide_index=True,
            width="stretch",
            key="versions",
        )


main()
