"""Check of the token of a program, and of the number of wrong tokens of an address.

A right token is always accepted, also after wrong ones from the same address: nobody can lock a program out, and nobody
guesses a token of this length. Wrong tokens are counted in each process.
"""

import hashlib
import hmac
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers

logger = logging.getLogger(__name__)

MAX_WRONG_TOKENS, WINDOW_S = 10, 900.0
MAX_ADDRESSES = 10_000
SCHEME = "bearer "
MAX_HEADER_CHARS = 4096


class WrongTokens:
    """Times of the wrong tokens of the last minutes, by address; the addresses that were quiet longest are dropped."""

    def __init__(self, read_clock: Callable[[], float] = time.monotonic) -> None:
        """Create it empty; `read_clock` returns seconds."""
        self._read_clock = read_clock
        self._times: OrderedDict[str, list[float]] = OrderedDict()

    def record(self, address: str) -> int:
        """Count a wrong token; return the seconds to wait, 0 while the address has attempts left."""
        now = self._read_clock()
        times = [instant for instant in self._times.pop(address, []) if instant > now - WINDOW_S]
        self._times[address] = times
        if len(times) >= MAX_WRONG_TOKENS:
            return max(1, math.ceil(times[0] + WINDOW_S - now))
        times.append(now)
        logger.warning("A request from %r to /api had no right token.", address)
        while len(self._times) > MAX_ADDRESSES:
            self._times.popitem(last=False)
        return 0

    def count_addresses(self) -> int:
        """Return the number of addresses that are remembered."""
        return len(self._times)


def has_token(headers: Headers, tokens: Sequence[str]) -> bool:
    """Tell whether the header Authorization holds one of `tokens`; it takes the same time for each wrong one."""
    values = headers.getlist("authorization")
    value = values[0] if len(values) == 1 and len(values[0]) <= MAX_HEADER_CHARS else ""
    token = value[len(SCHEME) :].strip() if value[: len(SCHEME)].lower() == SCHEME else ""
    digest = _hash_text(token)
    matches = [hmac.compare_digest(digest, _hash_text(accepted)) for accepted in tokens]
    return any(matches) and bool(token)


def _hash_text(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
