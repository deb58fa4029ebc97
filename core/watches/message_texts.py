"""The message of some announcements to one recipient: as text, as HTML, for a chat, and as JSON.

The text of a mail lists the worst incidents, whatever their number; the JSON has all of them up to a limit.
"""

import html
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from core.language import Language
from core.messages import N_, Message
from core.phrases import list_names
from core.watches.announcing import Announcement
from core.watches.incident_sentences import (
    Notice,
    clean_text,
    collect_notices,
    describe_head,
    describe_subject,
    list_details,
)
from core.watches.outgoing_message import OutgoingMessage
from core.watches.watch import Recipient

MAX_LISTED, MAX_LISTED_IN_JSON, MAX_LISTED_NAMES = 20, 1000, 3
MAX_CHAT_CHARS = 1800  # Discord accepts 2,000
ID_CHARS = 8  # in a chat, by which a repeated message is known
PAYLOAD_VERSION = 1
SEVERITY_COLOURS = ("#6b7280", "#2563eb", "#d97706", "#dc2626")
ZERO_WIDTH_SPACE = "\u200b"
CHAT_SIGNS = {sign: f"{sign[0]}{ZERO_WIDTH_SPACE}{sign[1:]}" for sign in ("@", "](", "://")}
"""What chats read as a mention of everybody, or as a link, and how a text of others shows it."""


def render_message(
    message_id: str, announcements: Sequence[Announcement], recipient: Recipient, now: datetime, public_url: str = ""
) -> OutgoingMessage:
    """Return one message about all announcements, in the language and the time zone of the recipient.

    public_url  address of the app, for links; "" for none
    """
    notices, language = collect_notices(announcements), Language(recipient.language)
    subject = _describe_subject(notices, language)
    listed = notices[:MAX_LISTED]
    rest = [_describe_rest(len(notices) - len(listed), language)] if len(notices) > len(listed) else []
    footer = _describe_footer(recipient, language)
    blocks = [_render_block(notice, language, recipient.zone, public_url) for notice in listed]
    is_program = recipient.channel == "webhook"
    payload = _build_payload(message_id, notices, recipient, now, public_url, language) if is_program else {}
    return OutgoingMessage(
        id=message_id,
        subject=f"[Vigie] {subject}",
        text="\n\n".join(["\n".join(filter(None, block)) for block in blocks] + rest + [f"-- \n{footer}"]),
        html=_render_html(subject, listed, blocks, [*rest, footer], language),
        chat=f"{_render_chat(subject, notices, language, recipient.zone, public_url)}\nVigie {message_id[:ID_CHARS]}",
        created=now,
        payload=payload,
    )


def render_test(message_id: str, recipient: Recipient, now: datetime) -> OutgoingMessage:
    """Return the message that tries whether a recipient can be reached; it is marked as a test."""
    language = Language(recipient.language)
    subject = _render(language, Message(N_("Test message: no incident")))
    text = _render(
        language,
        Message(
            N_("This message tries the recipient {name}. No watch has opened an incident."), {"name": recipient.name}
        ),
    )
    payload = _build_frame("test", message_id, recipient, now) | {"text": text}
    page = _render_page(subject, f"<p>{html.escape(text)}</p>", [], language)
    return OutgoingMessage(
        message_id, f"[Vigie] {subject}", text, page, f"{subject}\n{text}\nVigie {message_id[:ID_CHARS]}", now, payload
    )


# ---- words ----------------------------------------------------------------------------------------------------------


def _describe_subject(notices: Sequence[Notice], language: Language) -> str:
    if len(notices) == 1:
        return _render(language, describe_subject(notices[0]))
    watches = list_names(sorted({clean_text(notice.watch) for notice in notices}), MAX_LISTED_NAMES)
    worst = max((notice.incident.severity for notice in notices), default=0)
    template = N_(
        "{count} incident of {watches}, severity {severity}",
        "{count} incidents of {watches}, the worst of severity {severity}",
    )
    return _render(language, Message(template, {"count": len(notices), "watches": watches, "severity": str(worst)}))


def _describe_rest(count: int, language: Language) -> str:
    template = N_("{count} more incident is not listed here.", "{count} more incidents are not listed here.")
    return _render(language, Message(template, {"count": count}))


def _describe_footer(recipient: Recipient, language: Language) -> str:
    template = N_("Vigie sends this because a watch names the recipient {name}.")
    return _render(language, Message(template, {"name": recipient.name}))


def _render(language: Language, message: Message) -> str:
    """Return a sentence in which texts of others are one line of letters."""
    return language.render(message, clean_text)


def _render_block(notice: Notice, language: Language, zone: str, public_url: str) -> list[str]:
    """Return the head, the details and the link of a notice; "" for no link."""
    details = [_render(language, detail) for detail in list_details(notice, zone)]
    return [_render(language, describe_head(notice, zone)), *details, build_link(notice, public_url)]


def build_link(notice: Notice, public_url: str) -> str:
    """Return the address of the page with an incident; "" without an address of the app."""
    return f"{public_url.rstrip('/')}/watch?incident={quote(notice.incident.id)}" if public_url else ""


# ---- forms ----------------------------------------------------------------------------------------------------------


def _render_html(
    subject: str, notices: Sequence[Notice], blocks: Sequence[list[str]], notes: Sequence[str], language: Language
) -> str:
    parts = []
    for notice, (head, *details, link) in zip(notices, blocks, strict=True):
        colour = SEVERITY_COLOURS[notice.incident.severity]
        lines = [f"<strong>{html.escape(head)}</strong>", *map(html.escape, details)]
        if link:
            text = html.escape(language.translate(N_("Open the incident")))
            lines.append(f'<a href="{html.escape(link)}">{text}</a>')
        style = f"border-left:4px solid {colour};padding:4px 12px;margin:0 0 16px"
        parts.append(f'<div style="{style}">{"<br>".join(lines)}</div>')
    return _render_page(subject, "".join(parts), notes, language)


def _render_page(subject: str, body: str, notes: Sequence[str], language: Language) -> str:
    paragraphs = "".join(f'<p style="color:#6b7280">{html.escape(note)}</p>' for note in notes)
    return (
        f'<!DOCTYPE html><html lang="{language.code}"><head><meta charset="utf-8"><title>{html.escape(subject)}</title>'
        f'</head><body style="font-family:sans-serif;line-height:1.5">{body}{paragraphs}</body></html>'
    )


def _render_chat(subject: str, notices: Sequence[Notice], language: Language, zone: str, public_url: str) -> str:
    """Return the subject and one line for each incident, as many as a chat shows; nobody is called by a name in it."""
    lines: list[str] = [] if len(notices) == 1 else [_defuse(subject)]
    for number, notice in enumerate(notices[:MAX_LISTED]):
        details = [_render(language, detail) for detail in list_details(notice, zone)]
        words = _defuse(". ".join([_render(language, describe_head(notice, zone)), *details]))
        line = " ".join(filter(None, [f"{words}.", build_link(notice, public_url)]))
        if number and sum(map(len, lines)) + len(line) > MAX_CHAT_CHARS:
            break
        lines.append(line[:MAX_CHAT_CHARS])
    rest = len(notices) - len(lines) + (len(notices) != 1)
    return "\n".join([*lines, *([_describe_rest(rest, language)] if rest else [])])


def _defuse(text: str) -> str:
    for sign, harmless in CHAT_SIGNS.items():
        text = text.replace(sign, harmless)
    return text


def _build_payload(
    message_id: str, notices: Sequence[Notice], recipient: Recipient, now: datetime, public_url: str, language: Language
) -> dict[str, Any]:
    incidents = [
        {
            "change": notice.kind,
            "watch": notice.watch,
            "text": _render(language, describe_head(notice, recipient.zone)),
            "url": build_link(notice, public_url) or None,
            "incident": json.loads(
                notice.incident.spell_events_out().model_dump_json()
            ),  # in which an unknown number is null
        }
        for notice in notices[:MAX_LISTED_IN_JSON]
    ]
    return _build_frame("incidents", message_id, recipient, now) | {"count": len(notices), "incidents": incidents}


def _build_frame(kind: str, message_id: str, recipient: Recipient, now: datetime) -> dict[str, Any]:
    return {
        "schema_version": PAYLOAD_VERSION,
        "kind": kind,
        "id": message_id,
        "recipient": recipient.name,
        "created": now.isoformat(timespec="seconds"),
    }
