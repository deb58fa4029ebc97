"""Mail: over SMTP, encrypted where the server can, with a password only where it is encrypted."""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from core.errors import OptionError, ServiceUnavailableError
from core.messages import N_
from core.settings import Settings
from core.storage.channels.base import DELIVERY_HEADER, SOCKET_TIMEOUT_S, DeliveryRefusedError, shorten_reason
from core.storage.channels.tls import make_tls_context
from core.watches.outgoing_message import OutgoingMessage
from core.watches.watch import Recipient

SUBMISSION_PORT, ENCRYPTED_PORT = 587, 465
MAX_ADDRESS_CHARS = 254  # RFC 5321
MAIL_POLICY = policy.SMTP.clone(cte_type="7bit")  # any server can pass it on
PERMANENT_CODE = 500  # of answers from which on another attempt is useless


def check_address(address: str, settings: Settings) -> None:
    """Raise OptionError for an address that is not one mail address."""
    _parse_address(address)


def describe_address(address: str) -> str:
    """Return the mail address: it has no secret."""
    return address


def send(message: OutgoingMessage, recipient: Recipient, settings: Settings) -> None:
    """Send a message as text and as HTML.

    Raises DeliveryRefusedError for a recipient or a message that the server refuses for good,
    ServiceUnavailableError for a server that does not answer, refuses the sender or the password, or is busy.
    """
    mail = build_mail(message, recipient, settings)
    with _open_session(settings) as session:
        try:
            session.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, reason = next(iter(error.recipients.values()))
            raise _explain_refusal(
                N_("The mail server refuses the recipient: {code} {reason}."), code, reason
            ) from None
        except smtplib.SMTPDataError as error:
            template = N_("The mail server refuses the message: {code} {reason}.")
            raise _explain_refusal(template, error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryRefusedError(
                N_("The mail server cannot send to this address: {reason}."), reason=shorten_reason(error)
            ) from None


def check_server(settings: Settings) -> None:
    """Sign in to the mail server, and send nothing. Raises ServiceUnavailableError if that does not work."""
    with _open_session(settings) as session:
        session.noop()


def describe_server(settings: Settings) -> str:
    """Return the address of the mail server without user and password; "" if none is set."""
    url = settings.vigie_smtp_url.get_secret_value()
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{_get_port(parts)}" if url else ""


def build_mail(message: OutgoingMessage, recipient: Recipient, settings: Settings) -> EmailMessage:
    """Return the mail with its headers. Raises OptionError for an address that is not accepted."""
    sender = _find_sender(settings)
    mail = EmailMessage(policy=MAIL_POLICY)
    mail["From"] = Address("Vigie", addr_spec=sender.addr_spec)
    mail["To"] = Address(addr_spec=_parse_address(recipient.address).addr_spec)
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = message.created
    mail["Message-ID"] = f"<{message.id}@{sender.domain}>"
    mail[DELIVERY_HEADER] = message.id
    mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence is answered to us
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(message.text)  # which removes headers of the content
    mail.add_alternative(message.html, subtype="html")
    mail["Content-Language"] = recipient.language
    return mail


# ---- the session ----------------------------------------------------------------------------------------------------


@contextmanager
def _open_session(settings: Settings) -> Iterator[smtplib.SMTP]:
    """Connect, encrypt and sign in; turn every error of the network into ServiceUnavailableError."""
    url = settings.vigie_smtp_url.get_secret_value()
    if not url:
        raise ServiceUnavailableError(N_("No mail server is set. Set VIGIE_SMTP_URL."))
    parts = urlsplit(url)
    place = describe_server(settings)
    try:
        session = _connect(parts)
    except (OSError, smtplib.SMTPException) as error:
        raise _explain_failure(error, place) from error
    try:
        _prepare_session(session, parts, place)
        yield session
    except smtplib.SMTPAuthenticationError as error:
        raise ServiceUnavailableError(
            N_("{place} refuses the user or the password of VIGIE_SMTP_URL: {code} {reason}."),
            place=place,
            code=str(error.smtp_code),
            reason=_decode(error.smtp_error),
        ) from None
    except smtplib.SMTPSenderRefused as error:
        raise ServiceUnavailableError(
            N_("{place} refuses the sender {sender}: {code} {reason}. Check VIGIE_MAIL_FROM."),
            place=place,
            sender=error.sender,
            code=str(error.smtp_code),
            reason=_decode(error.smtp_error),
        ) from None
    except (OSError, smtplib.SMTPException) as error:
        raise _explain_failure(error, place) from error
    finally:
        with suppress(OSError, smtplib.SMTPException):
            session.quit()
        session.close()


def _connect(parts: SplitResult) -> smtplib.SMTP:
    host, port = str(parts.hostname), _get_port(parts)
    if parts.scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=SOCKET_TIMEOUT_S, context=make_tls_context())
    return smtplib.SMTP(host, port, timeout=SOCKET_TIMEOUT_S)


def _prepare_session(session: smtplib.SMTP, parts: SplitResult, place: str) -> None:
    """Begin to encrypt where the server can, and sign in. Raises ServiceUnavailableError rather than tell a password.

    A password goes in the clear to this machine alone.
    """
    session.ehlo()
    is_encrypted = parts.scheme == "smtps"
    if not is_encrypted and session.has_extn("starttls"):
        session.starttls(context=make_tls_context())
        session.ehlo()
        is_encrypted = True
    if parts.username:
        if not (is_encrypted or _is_this_machine(str(parts.hostname))):
            raise ServiceUnavailableError(
                N_("{place} offers no encryption (STARTTLS), so the password is not sent. Use an encrypted port."),
                place=place,
            )
        session.login(unquote(parts.username), unquote(parts.password or ""))


def _is_this_machine(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _get_port(parts: SplitResult) -> int:
    return parts.port or (ENCRYPTED_PORT if parts.scheme == "smtps" else SUBMISSION_PORT)


# ---- addresses and answers ------------------------------------------------------------------------------------------


def _find_sender(settings: Settings) -> Address:
    host = urlsplit(settings.vigie_smtp_url.get_secret_value()).hostname or ""
    name = host if host and ":" not in host else socket.gethostname()  # no address has the form vigie@::1
    return _parse_address(settings.vigie_mail_from or f"vigie@{name}")


def _parse_address(text: str) -> Address:
    """Return one mail address. Raises OptionError for anything else, such as a list, a name or a line end."""
    try:
        if len(text) > MAX_ADDRESS_CHARS or not text.isprintable() or any(map(str.isspace, text)):
            raise ValueError("length or signs")
        address = Address(addr_spec=text)
    except (ValueError, IndexError, MessageError):  # the parser of the library stumbles over some texts
        address = Address()
    if not (address.username and address.domain and address.addr_spec == text):
        raise OptionError(N_("{value!r} is not a mail address. Accepted: name@example.org, one address."), value=text)
    return address


def _explain_refusal(template: str, code: int, reason: object) -> DeliveryRefusedError | ServiceUnavailableError:
    """Return the error of an answer: from 500 on it is for good, as the protocol says."""
    kind = DeliveryRefusedError if code >= PERMANENT_CODE else ServiceUnavailableError
    return kind(template, code=str(code), reason=_decode(reason))


def _explain_failure(error: Exception, place: str) -> ServiceUnavailableError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ServiceUnavailableError(
            N_("The certificate of {place} is not accepted: {reason}."), place=place, reason=error.verify_message
        )
    reason = _decode(getattr(error, "smtp_error", "")) or shorten_reason(error) or type(error).__name__
    return ServiceUnavailableError(N_("{service} does not answer ({reason})."), service=place, reason=reason)


def _decode(answer: object) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return shorten_reason(text).rstrip(".")
