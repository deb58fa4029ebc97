"""Recipients of announcements, messages that did not reach them, and maintenance windows; for operators."""

from collections.abc import Sequence
from zoneinfo import available_timezones

import pandas as pd
import streamlit as st

from core.language import LANGUAGES
from core.operations.watching.delivery import try_recipient
from core.operations.watching.watches import add_recipient, list_recipients, remove_recipient
from core.watches.watch import Recipient
from pages.components import cache, clock
from pages.components.i18n import _, get_language
from pages.components.markdown import escape_markdown
from pages.components.watch import maintenance_list, undelivered_list
from pages.components.watch.changes import build_checked, get_actor, make_change

DEFAULT_CAP, MAX_CAP = 12, 1000


def show(watch_names: Sequence[str]) -> None:
    """Show the recipients and the forms that change them."""
    recipients = list(list_recipients(cache.get_workspace()))
    if recipients:
        _show_table(recipients)
        _show_changes(recipients)
    else:
        st.info(
            _("Nobody is told yet. Add a mail address, a webhook or a chat, then name it in a watch."),
            icon=":material/mail:",
        )
    undelivered_list.show()
    _show_form()
    maintenance_list.show(watch_names)


def _label_channel(channel: str) -> str:
    return {"mail": _("Mail"), "webhook": _("Webhook"), "chat": _("Chat")}[channel]


def _show_table(recipients: Sequence[Recipient]) -> None:
    """Show all but the addresses of webhooks and chats, which hold secrets."""
    text = st.column_config.TextColumn
    table = pd.DataFrame(
        {
            "name": [recipient.name for recipient in recipients],
            "channel": [_label_channel(recipient.channel) for recipient in recipients],
            "address": [recipient.address if recipient.channel == "mail" else "•••" for recipient in recipients],
            "language": [LANGUAGES[recipient.language] for recipient in recipients],
            "quiet": [
                f"{recipient.quiet_from} – {recipient.quiet_until}" if recipient.quiet_from else ""
                for recipient in recipients
            ],
            "cap": [recipient.max_per_hour for recipient in recipients],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="recipients",
        alt=_("Recipients"),
        placeholder="–",
        column_config={
            "name": text(_("Name")),
            "channel": text(_("Channel")),
            "address": text(_("Address"), help=_("Addresses of webhooks and chats hold secrets, and are not shown.")),
            "language": text(_("Language")),
            "quiet": text(_("Quiet hours")),
            "cap": st.column_config.NumberColumn(_("Messages an hour"), format="localized"),
        },
    )


def _show_changes(recipients: Sequence[Recipient]) -> None:
    by_name = {recipient.name: recipient for recipient in recipients}
    with st.container(horizontal=True, vertical_alignment="bottom", key="recipient-actions"):
        name = str(st.selectbox(_("Recipient"), list(by_name), key="recipient-choice", width=220))
        workspace, actor = cache.get_workspace(), get_actor()
        is_asked = st.button(_("Send a test message"), icon=":material/send:", key="recipient-try")
        with st.popover(_("Remove"), icon=":material/delete:", key=f"recipient-remove-{name}"):
            st.markdown(_("The recipient {name} gets no more messages.").format(name=escape_markdown(name)))
            if st.button(_("Remove the recipient"), type="primary", icon=":material/delete:", key="recipient-remove"):
                make_change(
                    f"remove recipient {name}",
                    lambda: remove_recipient(name, workspace, actor),
                    _("The recipient {name} is removed.").format(name=escape_markdown(name)),
                )
    if is_asked and name in by_name:
        with st.spinner(_("Sending …")):
            make_change(
                f"try recipient {name}",
                lambda: try_recipient(by_name[name], workspace, actor),
                _("The test message is sent to {name}.").format(name=escape_markdown(name)),
            )


def _show_form() -> None:
    st.header(_("Add or replace a recipient"))
    zones = sorted(available_timezones())
    zone = clock.get_zone_name()
    with st.form("recipient-form"):
        left, middle, right = st.columns([2, 2, 4])
        name = left.text_input(
            _("Name"), key="recipient-name", max_chars=60, help=_("Small letters, digits and hyphens.")
        )
        channel = middle.selectbox(
            _("Channel"), ["mail", "webhook", "chat"], format_func=_label_channel, key="recipient-channel"
        )
        address = right.text_input(
            _("Address"),
            key="recipient-address",
            autocomplete="off",
            help=_(
                "A mail address, the address of a webhook that starts with `https://`, or that of a chat as Apprise "
                "writes it, such as `slack://…` or `msteams://…`."
            ),
        )
        left, middle, right = st.columns(3)
        language = left.selectbox(
            _("Language"),
            list(LANGUAGES),
            list(LANGUAGES).index(get_language()),
            format_func=LANGUAGES.__getitem__,
            key="recipient-language",
        )
        zone_name = middle.selectbox(
            _("Time zone"), zones, zones.index(zone) if zone in zones else None, key="recipient-zone"
        )
        cap = right.number_input(
            _("Messages an hour, at most"),
            1,
            MAX_CAP,
            DEFAULT_CAP,
            key="recipient-cap",
            help=_("Further announcements wait, and come as one message."),
        )
        left, right = st.columns(2)
        quiet_from = left.text_input(
            _("Quiet from"),
            key="recipient-quiet-from",
            placeholder="22:00",
            help=_("In quiet hours only incidents of the highest severity are announced. Empty: none."),
        )
        quiet_until = right.text_input(_("Quiet until"), key="recipient-quiet-until", placeholder="07:00")
        is_sent = st.form_submit_button(_("Save the recipient"), type="primary", icon=":material/person_add:")
    if not is_sent:
        return
    workspace, actor = cache.get_workspace(), get_actor()

    def build() -> Recipient:
        return build_checked(
            Recipient,
            name=name.strip(),
            channel=channel,
            address=address.strip(),
            language=language,
            zone=zone_name or "UTC",
            quiet_from=quiet_from.strip(),
            quiet_until=quiet_until.strip(),
            max_per_hour=cap,
        )

    make_change(
        f"add recipient {name} {channel} {hash(address)} {language} {zone_name} {cap} {quiet_from} {quiet_until}",
        lambda: add_recipient(build(), workspace, actor),
        _("The recipient {name} is saved.").format(name=escape_markdown(name.strip())),
    )
