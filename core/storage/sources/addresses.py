"""Addresses of the web that a watch may read: allowed hosts, and no address of a private network behind them.

The name of a host is resolved once, and the connection is made to the address that was checked. Otherwise the owner of
a name could give it a private address between check and connection (DNS rebinding).
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from core.errors import AccessDeniedError, OptionError, ServiceUnavailableError
from core.messages import N_
from core.settings import Settings

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS = {"http": 80, "https": 443}
FORBIDDEN_LETTERS = re.compile(r"[\x00-\x20\x7f\\]")
NUMBER_LABEL = re.compile(r"\d+|0x[\da-f]*", re.IGNORECASE)
SAFE_LETTERS = "/:@!$&'()*+,;=-._~%?[]"
TRANSLATED_IPV4 = ipaddress.ip_network("64:ff9b::/96")  # addresses of IPv4 behind NAT64
COMPATIBLE_IPV4 = ipaddress.ip_network("::/96")


@dataclass(frozen=True)
class WebAddress:
    """Parts of an accepted address.

    host    name or address of the host, in ASCII
    target  path and query, as the request has them
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """Value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_address(url: str) -> WebAddress:
    """Return the parts of an address. Raises OptionError for one that is not accepted."""
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _normalise_host(parts.hostname or "")
    except ValueError:  # an invalid port, IPv6 address or name
        host = ""
    if (
        not host
        or FORBIDDEN_LETTERS.search(url)
        or parts.scheme not in DEFAULT_PORTS
        or "@" in parts.netloc
        or port == 0
    ):
        raise OptionError(
            N_(
                "The address {value!r} is not accepted. Accepted: http://host:port/path or https://host:port/path, "
                "without user and password; an IP address in its usual form."
            ),
            value=hide_query(url),
        )
    target = quote(parts.path or "/", SAFE_LETTERS) + (f"?{quote(parts.query, SAFE_LETTERS)}" if parts.query else "")
    return WebAddress(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], target)


def hide_query(url: str) -> str:
    """Return an address without user, password, query and fragment, which may hold secrets.

    Example:
        >>> hide_query("https://ann:hunter2@data.example.org/load.csv?token=hunter2")
        'https://data.example.org/load.csv?…'
    """
    place, mark, _ = url.partition("#")[0].partition("?")
    scheme, separator, rest = place.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" + ("?…" if mark else "")


def check_host(host: str, settings: Settings) -> None:
    """Raise AccessDeniedError for a host that VIGIE_SOURCE_HOSTS does not name."""
    patterns = [name.strip().lower().strip("[]") for name in settings.vigie_source_hosts.split(",") if name.strip()]
    if not any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in patterns):
        raise AccessDeniedError(
            N_("Watches may not read the host {value!r}. Accepted: {accepted}. Change VIGIE_SOURCE_HOSTS."),
            value=host,
            accepted=", ".join(patterns) or "–",
        )


def resolve_host(address: WebAddress, settings: Settings) -> str:
    """Return the IP address to connect to. All addresses of the name must be allowed.

    Raises AccessDeniedError for one that is not, and ServiceUnavailableError for a name without an address.
    """
    networks = parse_networks(settings)
    try:
        entries = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ServiceUnavailableError(
            N_("The host {value!r} has no address ({reason})."), value=address.host, reason=error
        ) from error
    addresses = [str(entry[4][0]) for entry in entries]
    for text in addresses:
        if not is_allowed_address(text, networks):
            raise AccessDeniedError(
                N_(
                    "The host {value!r} has the address {address}, which is not public. VIGIE_SOURCE_NETWORKS lists "
                    "the private networks that watches may read."
                ),
                value=address.host,
                address=text,
            )
    return addresses[0]


def parse_networks(settings: Settings) -> list[IpNetwork]:
    """Return the networks of VIGIE_SOURCE_NETWORKS. Raises OptionError for one that is none."""
    texts = [text.strip() for text in settings.vigie_source_networks.split(",") if text.strip()]
    try:
        return [ipaddress.ip_network(text) for text in texts]
    except ValueError as error:
        raise OptionError(
            N_("VIGIE_SOURCE_NETWORKS is not valid ({reason}). Accepted: 10.20.0.0/16, 192.168.1.7, fd12::/16."),
            reason=error,
        ) from error


def is_allowed_address(text: str, networks: list[IpNetwork]) -> bool:
    """Tell whether an IP address is public, or in one of the allowed `networks`.

    An address of IPv6 that stands for one of IPv4 is judged as that one too.

    Example:
        >>> is_allowed_address("93.184.216.34", []), is_allowed_address("169.254.169.254", [])
        (True, False)
        >>> is_allowed_address("::ffff:10.0.0.7", []), is_allowed_address("10.0.0.7", parse_networks(Settings(
        ...     vigie_source_networks="10.0.0.0/8")))
        (False, True)
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    embedded = _list_embedded(address)
    if embedded:
        return all(_is_allowed(part, networks) for part in embedded)
    return _is_allowed(address, networks)


def _is_allowed(address: IpAddress, networks: list[IpNetwork]) -> bool:
    if any(address in network for network in networks):
        return True
    is_special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    is_site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not is_special and not is_site_local


def _list_embedded(address: IpAddress) -> list[IpAddress]:
    """Return the addresses of IPv4 that an address of IPv6 stands for."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    is_translated = address in TRANSLATED_IPV4
    is_compatible = address in COMPATIBLE_IPV4 and int(address) > 1  # neither :: nor ::1
    return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)] if is_translated or is_compatible else []


def _normalise_host(host: str) -> str:
    """Return a host in small ASCII letters. Raises ValueError for a name or number of an unusual form."""
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    name = host.encode("idna").decode("ascii").lower().rstrip(".")  # signs such as ① become digits
    if NUMBER_LABEL.fullmatch(name.rpartition(".")[2]):  # 127.1, 0x7f.0.0.1 and 2130706433 are addresses too
        return str(ipaddress.IPv4Address(name))
    return name
